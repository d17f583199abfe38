// Every machine described in a few lines.
#include "train/machine/gpu_sight.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace lmms::train {
namespace {

using testing::HasSubstr;

/// The CUDA program on a machine with two GPUs.
GpuSight gpu_machine() {
  GpuSight sight;
  sight.cuda_program = true;
  sight.runtime = sight.supported = "13.0";
  sight.visible_gpus = 2;
  sight.nvidia = {"580.95.05", 2, 2};
  return sight;
}

/// As before, and the runtime finds no device.
GpuSight without_device() {
  GpuSight sight = gpu_machine();
  sight.visible_gpus = 0;
  sight.trouble = "cudaGetDeviceCount: no CUDA-capable device is detected";
  return sight;
}

void expect_refusal(const GpuSight& sight, const std::string& what, const std::string& cure) {
  const auto found = without_gpu(sight);
  ASSERT_TRUE(found) << what;
  EXPECT_TRUE(found->refused);
  EXPECT_THAT(found->what, HasSubstr(what));
  EXPECT_THAT(found->cure, HasSubstr(cure));
}

TEST(GpuSight, a_gpu_for_this_rank_is_well) {
  GpuSight sight = gpu_machine();
  EXPECT_FALSE(without_gpu(sight));
  sight.local_rank = 1;
  EXPECT_FALSE(without_gpu(sight));
}

TEST(GpuSight, the_cuda_program_never_takes_the_cpu_unasked) {
  GpuSight sight = gpu_machine();
  sight.local_rank = 2;
  expect_refusal(sight, "LOCAL_RANK=2 asks for GPU 2, and 2 are visible", "unset LOCAL_RANK");

  sight = without_device();
  sight.visible_devices = "";
  expect_refusal(sight, "CUDA_VISIBLE_DEVICES='' hides every GPU", "unset");
  sight.visible_devices = "-1";
  expect_refusal(sight, "CUDA_VISIBLE_DEVICES='-1' hides every GPU", "unset");
  sight.visible_devices = "7";
  expect_refusal(sight, "CUDA_VISIBLE_DEVICES='7' names no GPU", "nvidia-smi");

  sight = without_device();
  sight.nvidia = {};
  sight.supported = "";
  expect_refusal(sight, "there is no NVIDIA GPU (cudaGetDeviceCount", "CPU program");

  sight = without_device();
  sight.supported = "";
  expect_refusal(sight, "no driver answers", "libcuda.so.1");
  sight.nvidia = {"", 0, 1};
  expect_refusal(sight, "no driver answers", "install NVIDIA's driver");

  sight = without_device();
  sight.supported = "12.4";
  expect_refusal(sight, "the driver knows CUDA 12.4 at most, this program needs 13.0", "580");

  sight = without_device();
  sight.nvidia.device_files = 0;
  expect_refusal(sight, "no /dev/nvidia0", "docker run --gpus all");

  expect_refusal(without_device(), "no GPU can be used (cudaGetDeviceCount", "dmesg");
}

TEST(GpuSight, the_cpu_program_goes_on_and_points_to_the_other) {
  GpuSight sight;
  EXPECT_FALSE(without_gpu(sight));
  for (const NvidiaTraces& traces :
       {NvidiaTraces{"580.95.05", 0, 0}, NvidiaTraces{"", 1, 0}, NvidiaTraces{"", 0, 1}}) {
    sight.nvidia = traces;
    const auto found = without_gpu(sight);
    ASSERT_TRUE(found);
    EXPECT_FALSE(found->refused);
    EXPECT_THAT(found->what, HasSubstr("CPU program"));
    EXPECT_THAT(found->cure, HasSubstr("bin/cuda/lmms"));
  }
}

}  // namespace
}  // namespace lmms::train
