#include "train/deepspeed.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/files.h"
#include "train/config_testing.h"

namespace lmms::train {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class DeepSpeed : public TrainConfigTest {
 protected:
  /// Of a config whose deepspeed is a file that holds `json`.
  static std::string faults_of(const std::string& json, const std::string& keys = "") {
    write("ds.json", json);
    return faults(right("{deepspeed: ds.json" + keys + "}"));
  }
  static std::vector<std::string> notices_of(const std::string& json) {
    write("ds.json", json);
    return load(right("{deepspeed: ds.json}")).notices;
  }
};

// As transformers' documentation has it for ZeRO-3, comments added.
constexpr const char* kAuto = R"({
	// what the trainer says
	"fp16": {"enabled": "auto", "loss_scale": 0, "initial_scale_power": 16},
	"bf16": {"enabled": "auto"},
	"optimizer": {"type": "AdamW", "params": {"lr": "auto", "betas": "auto", "eps": "auto", "weight_decay": "auto"}},
	"scheduler": {"type": "WarmupDecayLR", "params": {"total_num_steps": "auto", "warmup_min_lr": "auto",
	                                                  "warmup_max_lr": "auto", "warmup_num_steps": "auto"}},
	"zero_optimization": {
		"stage": 3, "overlap_comm": true, "contiguous_gradients": true, "sub_group_size": 1e9,
		"reduce_bucket_size": "auto", "stage3_prefetch_bucket_size": "auto",
		"stage3_param_persistence_threshold": "auto", "stage3_max_live_parameters": 1e9,
		"stage3_max_reuse_distance": 1e9, "stage3_gather_16bit_weights_on_model_save": true,
		"offload_optimizer": {"device": "none", "pin_memory": true}
	},
	"gradient_accumulation_steps": "auto", "gradient_clipping": "auto", "steps_per_print": 2000,
	"train_batch_size": "auto", "train_micro_batch_size_per_gpu": "auto", "wall_clock_breakdown": false
})";

TEST_F(DeepSpeed, that_leaves_all_to_the_trainer_says_what_its_stage_will_mean) {
  EXPECT_THAT(
      notices_of(kAuto),
      ElementsAre(HasSubstr("ZeRO stage 3: one process has nothing to shard; on many, which is "
                            "not built yet, it will mean weights, gradients and optimiser "
                            "states shared out (reshard_after_forward: true)")));
  const LoadedConfig loaded = load(right("{deepspeed: ds.json}"));
  EXPECT_EQ(reshard_after_forward(read_deepspeed(loaded.config.trainer)), true);
  EXPECT_TRUE(load(write_resolved(loaded.config)).config == loaded.config);
}

TEST_F(DeepSpeed, of_stages_below_three_keeps_weights_whole) {
  EXPECT_THAT(notices_of(R"({"zero_optimization": {"stage": 2}})"),
              ElementsAre(HasSubstr("(reshard_after_forward: false)")));
  EXPECT_THAT(notices_of(R"({"zero_optimization": {"stage": 0}})"), IsEmpty());
  EXPECT_EQ(faults_of(R"({"zero_optimization": {"stage": 4}})"),
            "ds.json:1:24: trainer_args.deepspeed.zero_optimization.stage: got 4; expected 0, 1, 2 "
            "or 3");
}

TEST_F(DeepSpeed, that_moves_things_to_the_host_is_refused_by_name) {
  EXPECT_EQ(
      faults_of("{\n  \"zero_optimization\": {\n    \"offload_optimizer\": {\"device\": "
                "\"cpu\"}}}"),
      "ds.json:3:5: not built yet: trainer_args.deepspeed.zero_optimization.offload_optimizer="
      "{device: cpu} (nothing is moved to the host: lmms plan says what fits; "
      "gradient_checkpointing: auto and master_weights: false need less memory); leave it out");
  for (const char* json :
       {R"({"zero_optimization": {"offload_param": {"device": "nvme"}}})",
        R"({"zero_optimization": {"cpu_offload": true}})",
        R"({"activation_checkpointing": {"cpu_checkpointing": true}})",
        R"({"fp16": {"enabled": true}})", R"({"amp": {"enabled": true}})",
        R"({"elasticity": {"enabled": true}})", R"({"sparse_gradients": true})",
        R"({"optimizer": {"type": "Lamb"}})", R"({"scheduler": {"type": "OneCycle"}})",
        R"({"tensor_parallel": {"autotp_size": 2}})", R"({"gradient_allreduce_op": "sum"})"}) {
    EXPECT_THAT(faults_of(json), HasSubstr("not built yet: trainer_args.deepspeed.")) << json;
  }
  for (
      const char* json :
      {R"({"elasticity": {"enabled": false}, "sparse_gradients": false})",
       R"({"zero_optimization": {"offload_param": null}})", R"({"fp16": {"loss_scale": 0}})",
       R"({"zero_optimization": {"offload_optimizer": {"pin_memory": true}, "offload_param": {}}})",
       R"({"tensor_parallel": {"autotp_size": 1}, "sequence_parallel_size": 1})"})
    EXPECT_EQ(faults_of(json), "") << json;
}

TEST_F(DeepSpeed, that_contradicts_the_trainer_is_refused_with_both_places) {
  EXPECT_EQ(faults_of("{\"gradient_clipping\": 0.5,\n \"bf16\": {\"enabled\": true}}",
                      ", max_grad_norm: 1"),
            "ds.json:1:2: trainer_args.deepspeed.gradient_clipping: got 0.5, but "
            "trainer_args.max_grad_norm is 1 (a.yaml:1:36); expected the same in both, or auto\n"
            "ds.json:2:11: trainer_args.deepspeed.bf16.enabled: got true, but trainer_args.bf16 is "
            "false; expected the same in both, or auto");
  EXPECT_EQ(faults_of(R"({"gradient_clipping": 1.0, "train_micro_batch_size_per_gpu": 2,
                          "gradient_accumulation_steps": 4, "train_batch_size": 8,
                          "optimizer": {"type": "Adam", "params": {"lr": 1e-4, "betas": [0.9, 0.999],
                                                                   "eps": 1e-8, "weight_decay": 0}},
                          "scheduler": {"type": "WarmupLR", "params": {"warmup_min_lr": 0,
                            "warmup_max_lr": 1e-4, "warmup_num_steps": 10, "warmup_type": "linear"}},
                          "data_types": {"grad_accum_dtype": "fp32"},
                          "communication_data_type": "bf16"})",
                      ", per_device_train_batch_size: 2, gradient_accumulation_steps: 4, "
                      "learning_rate: 1e-4, warmup_steps: 10, lr_scheduler_type: "
                      "constant_with_warmup"),
            "");
  EXPECT_THAT(faults_of(R"({"optimizer": {"params": {"betas": [0.9, 0.95]}}})"),
              HasSubstr("but trainer_args.adam_beta2 is 0.999"));
  EXPECT_THAT(faults_of(R"({"scheduler": {"type": "WarmupLR"}})"),
              HasSubstr("got WarmupLR, which is constant_with_warmup here, but "
                        "trainer_args.lr_scheduler_type is linear"));
  EXPECT_THAT(faults_of(R"({"train_batch_size": 64})"),
              HasSubstr("expected 8, auto, or trainer_args.global_rows: 64"));
}

TEST_F(DeepSpeed, with_a_key_of_no_meaning_is_refused_at_its_place) {
  EXPECT_EQ(
      faults_of("{\n\t\"gradient_cliping\": 1}"),
      "ds.json:2:2: trainer_args.deepspeed.gradient_cliping: unknown key of DeepSpeed; did you "
      "mean 'gradient_clipping'?");
  EXPECT_THAT(
      faults_of(R"({"zero_optimization": {"stge": 2}})"),
      HasSubstr("ds.json:1:24: trainer_args.deepspeed.zero_optimization.stge: unknown key"));
  EXPECT_THAT(faults_of(R"({"bf16": true})"), HasSubstr("got true; expected a map"));
  EXPECT_THAT(faults_of("{\"a\": "), HasSubstr("ds.json:"));
  EXPECT_THAT(faults(right("{deepspeed: {zero_optimisation: {stage: 3}}}")),
              HasSubstr("a.yaml:1:28: trainer_args.deepspeed.zero_optimisation: unknown key"));
  EXPECT_THAT(faults(right("{deepspeed: no.json}")), HasSubstr("'no.json'"));
}

TEST_F(DeepSpeed, with_a_value_of_another_type_is_refused_at_its_place) {
  const std::pair<const char*, const char*> cases[] = {
      {R"({"tensor_parallel": 4})", "tensor_parallel: got 4; expected a map"},
      {R"({"tensor_parallel": {"autotp_size": "abc"}})",
       "tensor_parallel.autotp_size: got abc; expected a number, or auto"},
      {R"({"sequence_parallel_size": "abc"})",
       "sequence_parallel_size: got abc; expected a number, or auto"},
      {R"({"optimizer": {"type": 3}})", "optimizer.type: got 3; expected a name of an optimiser"},
      {R"({"optimizer": {"params": {"bias_correction": "abc"}}})",
       "optimizer.params.bias_correction: got abc; expected true, false or auto"},
      {R"({"scheduler": {"type": 3}})", "scheduler.type: got 3; expected a name of a schedule"},
      {R"({"fp16": {"enabled": "abc"}})", "fp16.enabled: got abc; expected true, false or auto"},
      {R"({"amp": {"enabled": "abc"}})", "amp.enabled: got abc; expected true, false or auto"}};
  for (const auto& [json, fault] : cases)
    EXPECT_THAT(faults_of(json), HasSubstr(std::string("trainer_args.deepspeed.") + fault));
  EXPECT_THAT(
      faults_of(R"({"scheduler": {"type": "WarmupDecayLR", "params": {"warmup_min_lr": "abc"}}})"),
      HasSubstr("scheduler.params.warmup_min_lr: got abc; expected a number, or auto"));
  EXPECT_THAT(
      faults_of(R"({"scheduler": {"type": "WarmupDecayLR", "params": {"warmup_min_lr": 1e-6}}})"),
      HasSubstr("not built yet: trainer_args.deepspeed.scheduler.params.warmup_min_lr="));
}

TEST_F(DeepSpeed, names_what_it_does_not_do) {
  EXPECT_THAT(
      notices_of(R"({"wandb": {"enabled": true, "team": "a"}, "tensorboard": {"enabled": false},
                             "wall_clock_breakdown": true})"),
      ElementsAre("without effect: trainer_args.deepspeed.wandb (trainer_args.report_to says "
                  "it); trainer_args.deepspeed.wall_clock_breakdown (metrics.jsonl and "
                  "report.html are written)"));
}

TEST_F(DeepSpeed, is_in_the_guide) {
  const std::string guide = *read_file(LMMS_SOURCE_DIR "/docs/guide/config.md");
  const size_t begin = guide.find("## DeepSpeed"), end = guide.find("\n## ", begin + 1);
  const std::string section = guide.substr(begin, end - begin);
  for (const std::string& key : deepspeed_keys()) EXPECT_THAT(section, HasSubstr("`" + key));
}

}  // namespace
}  // namespace lmms::train
