// Keys that are written and change nothing: each is named once.
#include <gmock/gmock.h>

#include "core/files.h"
#include "core/format.h"
#include "train/config_testing.h"

namespace lmms::train {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class IdleKeys : public TrainConfigTest {
 protected:
  /// The notice of a config; empty if there is none.
  static std::string notices_of(const std::string& trainer_args, const std::string& dataset = "",
                                const std::vector<std::string>& words = {}) {
    std::string out;
    for (const std::string& notice : load(right(trainer_args, dataset), words).notices) {
      if (!notice.starts_with("without effect: ")) continue;
      EXPECT_EQ(out, "") << "more than one notice";
      out = notice.substr(16);
    }
    return out;
  }
};

TEST_F(IdleKeys, of_packing_without_packing) {
  EXPECT_EQ(notices_of("{}",
                       "  packing_strategy: first_fit\n  packing_length: 16384\n"
                       "  packing_kwargs: {num_buckets: 2}\n  filter_overlong: true\n"),
            "dataset_config.packing_strategy, dataset_config.packing_length, "
            "dataset_config.packing_kwargs.num_open_bins (without packing: true); "
            "dataset_config.filter_overlong (nothing is over-long without packing: true or "
            "max_length)");
  EXPECT_EQ(notices_of("{}", "  packing_strategy: null\n  packing_length: null\n"), "");
  EXPECT_EQ(notices_of("{}",
                       "  packing: true\n  packing_strategy: best_fit\n  packing_length: 64\n"
                       "  filter_overlong: false\n"),
            "");
  EXPECT_EQ(notices_of("{}",
                       "  packing: true\n  packing_strategy: sequential\n"
                       "  packing_kwargs: {num_open_bins: 2}\n"),
            "dataset_config.packing_kwargs.num_open_bins (sequential has one open bin)");
  EXPECT_EQ(notices_of("{}", "  max_length: 9\n  filter_overlong: false\n  on_overlong: drop\n"),
            "dataset_config.filter_overlong (on_overlong decides)");
  EXPECT_EQ(notices_of("{}", "  packing_length: 64\n",
                       {"dataset_config.dataset_type=fineweb_edu",
                        "dataset_config.processor_config.processor_type=pure_text"}),
            "");  // plain text is cut there
}

TEST_F(IdleKeys, are_not_those_of_a_switch_that_the_file_itself_turns_off) {
  EXPECT_EQ(notices_of("{enable_profiler: false, profiler_config: {start_step: 1, end_step: 3}, "
                       "ema_enabled: false, ema_decay: 0.5}",
                       "  packing: false\n  packing_strategy: first_fit\n"
                       "  packing_length: 16384\n  filter_overlong: true\n"),
            "");
}

TEST_F(IdleKeys, of_media_that_the_processor_does_not_take) {
  EXPECT_EQ(notices_of("{}", "  fps: 2\n  video_max_pixels: 50176\n"),
            "dataset_config.video_max_pixels, dataset_config.fps (processor_type qwen2 takes no "
            "images and videos)");
  const std::vector<std::string> sees = {"dataset_config.processor_config.processor_type=qwen3_vl"};
  EXPECT_EQ(notices_of("{}", "  fps: 2\n  frame_num: 8\n", sees),
            "dataset_config.frame_num (video_sampling_strategy: fps goes by rate)");
  EXPECT_EQ(
      notices_of("{}", "  fps: 2\n  frame_num: 8\n  video_sampling_strategy: frame_num\n", sees),
      "dataset_config.fps (video_sampling_strategy: frame_num goes by number)");
  EXPECT_EQ(
      notices_of(
          "{}", "",
          {"~dataset_config.dataset_path", "dataset_config.dataset_format=yaml",
           "dataset_config.datasets=[{path: a, data_folder: ''}, {path: b, data_folder: m}]"}),
      "dataset_config.datasets[1].data_folder (processor_type qwen2 takes no images and "
      "videos)");
}

TEST_F(IdleKeys, of_the_trainer) {
  EXPECT_EQ(notices_of("{max_steps: 3, num_train_epochs: 1}"),
            "trainer_args.num_train_epochs (max_steps=3 decides)");
  EXPECT_EQ(
      notices_of("{save_strategy: 'no', save_steps: 10, logging_strategy: epoch, logging_steps: 5, "
                 "eval_steps: 7}"),
      "trainer_args.logging_steps (logging_strategy is not steps); trainer_args.save_steps "
      "(save_strategy is not steps); trainer_args.eval_steps (eval_strategy is not steps)");
  EXPECT_EQ(
      notices_of("{ema_decay: 0.5, ema_param_filter: {include: [a]}, profiler_config: {end_step: "
                 "9}}"),
      "trainer_args.profiler_config.end_step (without enable_profiler: true); "
      "trainer_args.ema_decay, trainer_args.ema_param_filter.include (without ema_enabled: "
      "true)");
  EXPECT_EQ(notices_of("{ema_enabled: true, ema_decay: 0.5}"), "");
  EXPECT_EQ(notices_of("{per_device_eval_batch_size: 2, eval_generate: {max_new_tokens: 5}}"),
            "trainer_args.per_device_eval_batch_size (nothing is evaluated); "
            "trainer_args.eval_generate.max_new_tokens (neither prompts nor rows)");
  EXPECT_EQ(notices_of("{eval_strategy: epoch, eval_generate: {prompts: a, top_k: 5}}"),
            "trainer_args.eval_generate.top_k (at temperature 0 the most likely token is taken)");
  EXPECT_EQ(notices_of("{data_seed: 5}", "  shuffle: false\n"),
            "trainer_args.data_seed (shuffle: false keeps the files' order)");
  EXPECT_EQ(notices_of("{reduce_dtype: float32, ddp_timeout: 5}"),
            "trainer_args.reduce_dtype, trainer_args.ddp_timeout (one process trains)");
}

TEST_F(IdleKeys, of_grouping_by_length) {
  const std::string why = "rows are never padded to the longest, so";
  EXPECT_THAT(notices_of("{train_sampling_strategy: group_by_length}"),
              HasSubstr("trainer_args.train_sampling_strategy (" + why));
  EXPECT_EQ(notices_of("{train_sampling_strategy: random}"), "");
  EXPECT_THAT(faults(right("{train_sampling_strategy: sequential}")), HasSubstr("not built yet"));
  EXPECT_THAT(load(right("{group_by_length: true}")).notices,
              ElementsAre(HasSubstr("trainer_args.group_by_length (" + why)));
}

TEST_F(IdleKeys, of_fsdp_and_deepspeed_that_promise_more_than_a_layout) {
  const std::string host = " (nothing is moved to the host: lmms plan says what fits)";
  EXPECT_EQ(notices_of("{fsdp_config: {cpu_offload: true}}"),
            "trainer_args.fsdp_config.cpu_offload" + host);
  EXPECT_EQ(notices_of("{fsdp_config: {fsdp_offload_params: 'true', cpu_offload: false}}"),
            "trainer_args.fsdp_config.fsdp_offload_params" + host);
  EXPECT_EQ(notices_of("{fsdp: full_shard offload}"), "trainer_args.fsdp: offload" + host);
  EXPECT_EQ(notices_of("{fsdp_config: {activation_checkpointing: true}}"),
            "trainer_args.fsdp_config.activation_checkpointing (gradient_checkpointing says it)");
  EXPECT_EQ(notices_of("{fsdp: [full_shard], fsdp_config: {reshard_after_forward: true}}"), "");
  EXPECT_EQ(notices_of("{deepspeed: {flops_profiler: {enabled: true}, gradient_clipping: 1.0, "
                       "train_batch_size: auto, fp16: {enabled: false}}}"),
            "trainer_args.deepspeed.flops_profiler (trainer_args.enable_profiler traces steps)");
}

TEST_F(IdleKeys, of_from_pretrained) {
  EXPECT_EQ(
      notices_of("{}", "",
                 {"model_config.extra_kwargs={trust_remote_code: true, cache_dir: x, "
                  "local_files_only: false}"}),
      "model_config.extra_kwargs.trust_remote_code (nothing that a checkpoint brings is run); "
      "model_config.extra_kwargs.cache_dir (HF_HUB_CACHE and HF_HOME name the hub's cache)");
  EXPECT_EQ(notices_of("{}", "", {"model_config.extra_kwargs={revision: main}"}),
            "model_config.extra_kwargs.revision (an argument of transformers' from_pretrained)");
  EXPECT_THAT(faults(right(), {"model_config.extra_kwargs={revision: v2}"}),
              HasSubstr("model_config.extra_kwargs.revision: not built yet"));
  EXPECT_THAT(faults(right(), {"model_config.extra_kwargs={subfolder: unet}"}),
              HasSubstr("model_config.extra_kwargs.subfolder: not built yet"));
}

TEST_F(IdleKeys, are_told_in_one_notice_for_each_public_example) {
  for (const char* name :
       {"qwen2_5_llm/example_config", "qwen3_llm/example_config", "llama/example_config",
        "qwen2_5_vl/example_config", "qwen3_vl/example_config", "llava_onevision/example_config",
        "quickstart/config", "chat_tiny/config"}) {
    const std::string text = *read_file(fmt::format("{}/examples/{}.yaml", LMMS_SOURCE_DIR, name));
    size_t notices = 0;
    for (const std::string& notice : load(text).notices)
      notices += notice.starts_with("without effect: ") ? 1U : 0U;
    EXPECT_LE(notices, 1U) << name;
  }
  EXPECT_THAT(load(right()).notices, IsEmpty());
}

}  // namespace
}  // namespace lmms::train
