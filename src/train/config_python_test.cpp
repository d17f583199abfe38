// Configs as users of the Python project have them run as they are, and what they are told is
// short.
#include <gmock/gmock.h>

#include "core/files.h"
#include "train/config_testing.h"

namespace lmms::train {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

const std::string kFixtures = LMMS_SOURCE_DIR "/tests/fixtures/config/";

constexpr const char* kGrouping =
    "no meaning here: trainer_args.group_by_length (rows are never padded to the longest, so "
    "nothing is gained)";
constexpr const char* kSteps =
    "without effect: trainer_args.num_train_epochs (max_steps=1000 decides)";

class PythonConfigs : public TrainConfigTest {
 protected:
  static LoadedConfig example(const std::string& name, const std::vector<std::string>& words = {}) {
    return load(*read_file(kFixtures + "python_project/" + name + ".yaml"), words);
  }
  static std::string faults_of(const std::string& name, const std::vector<std::string>& words) {
    return faults(*read_file(kFixtures + "python_project/" + name + ".yaml"), words);
  }
};

TEST_F(PythonConfigs, run_with_few_words_about_what_they_ask_for) {
  EXPECT_THAT(example("qwen2_5_llm").notices, ElementsAre(kGrouping, kSteps));
  EXPECT_THAT(
      example("qwen3_llm").notices,
      ElementsAre("no meaning here: model_config.torch_dtype (the number type follows "
                  "trainer_args.bf16), trainer_args.group_by_length (rows are never padded to the "
                  "longest, so nothing is gained)",
                  kSteps));
  EXPECT_THAT(example("qwen2_5_vl").notices, ElementsAre(kGrouping, kSteps));
  EXPECT_THAT(example("qwen3_vl").notices, ElementsAre(kSteps));
  EXPECT_THAT(example("load_from_pretrained").notices, ElementsAre(kGrouping));
}

TEST_F(PythonConfigs, keep_their_values) {
  const TrainConfig vl = example("qwen3_vl").config;
  EXPECT_EQ(vl.trainer.optimizer.learning_rate, 2e-4);
  EXPECT_EQ(vl.dataset.video.max_pixels, 50176);
  EXPECT_EQ(vl.dataset.video.max_frames, 512);
  EXPECT_FALSE(vl.dataset.packing);
  const TrainConfig old = example("load_from_pretrained").config;
  EXPECT_EQ(old.trainer.freeze_modules, std::vector<std::string>{"visual"});
  EXPECT_EQ(old.trainer.optimizer.learning_rate, 1e-6);
  EXPECT_EQ(old.dataset.packing_length, 16384);
}

// What a run of the Python project leaves in its output folder: all keys, most at their defaults,
// some as TrainingArguments makes them.
TEST_F(PythonConfigs, that_a_run_of_the_python_project_has_written_are_read_too) {
  const LoadedConfig loaded = load(
      *read_file(kFixtures + "python_keys.yaml"),
      {"trainer_args.local_rank=0", "trainer_args.debug=[]", "trainer_args.fsdp=[]",
       "trainer_args.hub_token=<HUB_TOKEN>", "trainer_args.push_to_hub_token=<PUSH_TO_HUB_TOKEN>",
       "trainer_args.trackio_space_id=trackio", "trainer_args.report_to=[tensorboard,wandb]",
       "trainer_args.lr_scheduler_kwargs={}", "trainer_args.disable_tqdm=false",
       "trainer_args.accelerator_config={split_batches: false, dispatch_batches: null, "
       "even_batches: true, use_seedable_sampler: true, non_blocking: false, "
       "gradient_accumulation_kwargs: null}",
       "trainer_args.fsdp_config={transformer_layer_cls_to_wrap: [Qwen3VLTextDecoderLayer], "
       "reshard_after_forward: false, min_num_params: 0, xla: false, xla_fsdp_v2: false, "
       "xla_fsdp_grad_ckpt: false}",
       "trainer_args.print_batch_input_steps=5",
       "trainer_args.profiler_config={start_step: 1, end_step: 3}", "trainer_args.output_dir=out",
       "trainer_args.lr_scheduler_type=cosine", "trainer_args.warmup_ratio=0.1",
       "trainer_args.max_steps=1000", "trainer_args.bf16=true", "trainer_args.fsdp2=true"});
  EXPECT_THAT(loaded.notices, IsEmpty());
  EXPECT_EQ(loaded.config.trainer.print_batch_input_steps, 5);
  const auto logs = load(*read_file(kFixtures + "python_keys.yaml"),
                         {"trainer_args.logging_dir=runs", "trainer_args.log_level=debug"});
  EXPECT_THAT(logs.notices,
              ElementsAre("no meaning here: trainer_args.log_level (warnings are always shown), "
                          "trainer_args.logging_dir (reports stand in output_dir)"));
}

TEST_F(PythonConfigs, of_what_is_not_built_are_refused_by_name) {
  EXPECT_THAT(faults_of("qwen3_vl", {"trainer_args.sp_ulysses_degree=2"}),
              HasSubstr("not built yet: trainer_args.sp_ulysses_degree=2"));
  EXPECT_THAT(faults_of("qwen3_llm", {"trainer_args.ep_degree=8"}),
              HasSubstr("not built yet: trainer_args.ep_degree=8"));
  EXPECT_THAT(faults_of("qwen3_llm", {"trainer_args.use_muon=true"}),
              HasSubstr("not built yet: trainer_args.use_muon=true"));
  EXPECT_THAT(faults_of("qwen2_5_vl", {"dataset_config.dataset_type=llava_video"}),
              HasSubstr("not built yet: dataset_config.dataset_type=llava_video"));
  EXPECT_THAT(faults_of("qwen2_5_vl", {"trainer_type=bagel_fsdp2_trainer"}),
              HasSubstr("not built yet: trainer_type=bagel_fsdp2_trainer"));
}

}  // namespace
}  // namespace lmms::train
