#include "train/kernel_patches.h"

#include <gtest/gtest.h>

#include "core/error.h"
#include "models/registry_testing.h"
#include "step/small_steps_testing.h"

namespace lmms::train {
namespace {

using kernels::Form;

const c10::Device kGpu(c10::kCUDA, 0);

TEST(KernelPatches, fuse_everything_unless_the_config_says_otherwise) {
  LoadedConfig loaded;
  TrainConfig& config = loaded.config;
  EXPECT_EQ(kernel_set(loaded), nn::KernelSet{});
  config.trainer.layout["use_liger_kernel"].data = true;
  config.model.monkey_patch_kwargs.layout["rope"].data = true;
  EXPECT_EQ(kernel_set(loaded), nn::KernelSet{});
  EXPECT_EQ(text_of(kernel_set(loaded), kGpu), "fused");
}

TEST(KernelPatches, turn_ops_off_one_by_one) {
  LoadedConfig loaded;
  TrainConfig& config = loaded.config;
  config.model.monkey_patch_kwargs.layout["rms_norm"].data = false;
  config.trainer.layout["liger_kernel_config"].data =
      config::Value::Map{{"fused_linear_cross_entropy", config::Value{false}}};
  const nn::KernelSet set = kernel_set(loaded);
  EXPECT_EQ(set.norm, Form::plain);
  EXPECT_EQ(set.loss, Form::plain);
  EXPECT_EQ(set.rope, Form::fused);
  EXPECT_EQ(set.activation, Form::fused);
  EXPECT_EQ(text_of(set, kGpu), "fused, by request plain: norm, head");
}

TEST(KernelPatches, without_liger_are_all_plain) {
  LoadedConfig loaded;
  TrainConfig& config = loaded.config;
  config.trainer.layout["use_liger_kernel"].data = false;
  EXPECT_EQ(text_of(kernel_set(loaded), kGpu),
            "fused, by request plain: norm, rope and attention, activation, head");
}

TEST(KernelPatches, that_a_cpu_cannot_serve_are_named) {
  LoadedConfig loaded;
  TrainConfig& config = loaded.config;
  EXPECT_EQ(text_of(kernel_set(loaded), c10::kCPU), "ATen's");
  EXPECT_EQ(notice_of_patches(config, c10::kCPU), "");
  config.monkey_patch = {"liger", "rmpad"};
  config.trainer.layout["use_liger_kernel"].data = true;
  EXPECT_EQ(
      notice_of_patches(config, c10::kCPU),
      "liger, rmpad, use_liger_kernel: the fused kernels are a GPU's; on a CPU ATen's compute "
      "the same");
  EXPECT_EQ(notice_of_patches(config, kGpu), "");
}

TEST(KernelPatches, that_do_not_apply_to_the_model_are_refused) {
  const auto model = [](const nlohmann::json& config) {
    return models::model_entry(config, "test").make(config, "test");
  };
  const auto text = model(step::small_text_model()), seeing = model(step::small_seeing_model());
  LoadedConfig loaded;
  const auto refusal = [&](models::Model& m) {
    try {
      patch_structure(loaded, m);
    } catch (const Error& e) {
      return std::string(e.what());
    }
    return std::string();
  };
  loaded.config.model.monkey_patch_kwargs.layout["rms_norm"].data = true;
  loaded.config.model.monkey_patch_kwargs.layout["geglu"].data = false;
  EXPECT_EQ(refusal(*text), "");
  loaded.config.trainer.layout["liger_kernel_config"].data =
      config::Value::Map{{"geglu", config::Value{true}}};
  EXPECT_EQ(refusal(*text),
            "trainer_args.liger_kernel_config.geglu: the patch does not apply: the model has no "
            "gated GELU\n    fix: leave it out");
  loaded.config.trainer.layout.clear();
  loaded.config.model.monkey_patch_kwargs.layout["layer_norm"].data = true;
  EXPECT_NE(refusal(*seeing).find("all norms of the model are RMSNorms"), std::string::npos);
  const std::unique_ptr<models::Model> with_layer_norms =
      model({{"model_type", "qwen3_vl"},
             {"image_token_id", 30},
             {"video_token_id", 31},
             {"vision_start_token_id", 29},
             {"text_config",
              {{"vocab_size", 64},
               {"hidden_size", 32},
               {"intermediate_size", 64},
               {"num_hidden_layers", 2},
               {"num_attention_heads", 2},
               {"num_key_value_heads", 1},
               {"head_dim", 16},
               {"rope_scaling", {{"mrope_section", {4, 2, 2}}, {"rope_type", "default"}}}}},
             {"vision_config",
              {{"depth", 2},
               {"hidden_size", 32},
               {"intermediate_size", 64},
               {"num_heads", 2},
               {"out_hidden_size", 32},
               {"num_position_embeddings", 16},
               {"deepstack_visual_indexes", {0}}}}});
  EXPECT_EQ(refusal(*with_layer_norms), "");
}

}  // namespace
}  // namespace lmms::train
