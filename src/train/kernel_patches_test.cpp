#include "train/kernel_patches.h"

#include <gtest/gtest.h>

namespace lmms::train {
namespace {

using kernels::Form;

const c10::Device kGpu(c10::kCUDA, 0);

TEST(KernelPatches, fuse_everything_unless_the_config_says_otherwise) {
  TrainConfig config;
  EXPECT_EQ(kernel_set(config), nn::KernelSet{});
  config.trainer.layout["use_liger_kernel"].data = true;
  config.model.monkey_patch_kwargs.layout["rope"].data = true;
  EXPECT_EQ(kernel_set(config), nn::KernelSet{});
  EXPECT_EQ(text_of(kernel_set(config), kGpu), "fused");
}

TEST(KernelPatches, turn_ops_off_one_by_one) {
  TrainConfig config;
  config.model.monkey_patch_kwargs.layout["rms_norm"].data = false;
  config.trainer.layout["liger_kernel_config"].data =
      config::Value::Map{{"fused_linear_cross_entropy", config::Value{false}}};
  const nn::KernelSet set = kernel_set(config);
  EXPECT_EQ(set.norm, Form::plain);
  EXPECT_EQ(set.loss, Form::plain);
  EXPECT_EQ(set.rope, Form::fused);
  EXPECT_EQ(set.activation, Form::fused);
  EXPECT_EQ(text_of(set, kGpu), "fused, by request plain: norm, head");
}

TEST(KernelPatches, without_liger_are_all_plain) {
  TrainConfig config;
  config.trainer.layout["use_liger_kernel"].data = false;
  EXPECT_EQ(text_of(kernel_set(config), kGpu),
            "fused, by request plain: norm, rope and attention, activation, head");
}

TEST(KernelPatches, that_a_cpu_cannot_serve_are_named) {
  TrainConfig config;
  EXPECT_EQ(text_of(kernel_set(config), c10::kCPU), "ATen's");
  EXPECT_EQ(notice_of_patches(config, c10::kCPU), "");
  config.monkey_patch = {"liger", "rmpad"};
  config.trainer.layout["use_liger_kernel"].data = true;
  EXPECT_EQ(
      notice_of_patches(config, c10::kCPU),
      "liger, rmpad, use_liger_kernel: the fused kernels are a GPU's; on a CPU ATen's compute "
      "the same");
  EXPECT_EQ(notice_of_patches(config, kGpu), "");
}

}  // namespace
}  // namespace lmms::train
