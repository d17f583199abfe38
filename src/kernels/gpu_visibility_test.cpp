// Every machine described in a few lines.
#include "kernels/gpu_visibility.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace lmms::kernels {
namespace {

using testing::HasSubstr;

/// CUDA's library on a machine with two GPUs.
GpuVisibility gpu_machine() {
  GpuVisibility visibility;
  visibility.cuda_program = true;
  visibility.runtime = visibility.supported = "13.0";
  visibility.visible_gpus = 2;
  visibility.nvidia = {"580.95.05", 2, 2};
  return visibility;
}

/// As before, and the runtime finds no device.
GpuVisibility without_device() {
  GpuVisibility visibility = gpu_machine();
  visibility.visible_gpus = 0;
  visibility.trouble = "cudaGetDeviceCount: no CUDA-capable device is detected";
  return visibility;
}

void expect_refusal(const GpuVisibility& visibility, const std::string& what,
                    const std::string& cure) {
  const auto found = why_no_gpu(visibility);
  ASSERT_TRUE(found) << what;
  EXPECT_TRUE(found->refused);
  EXPECT_THAT(found->what, HasSubstr(what));
  EXPECT_THAT(found->cure, HasSubstr(cure));
}

TEST(GpuVisibility, a_gpu_for_this_rank_is_well) {
  GpuVisibility visibility = gpu_machine();
  EXPECT_FALSE(why_no_gpu(visibility));
  visibility.local_rank = 1;
  EXPECT_FALSE(why_no_gpu(visibility));
}

TEST(GpuVisibility, a_program_with_cuda_never_takes_the_cpu_unasked) {
  GpuVisibility visibility = gpu_machine();
  visibility.local_rank = 2;
  expect_refusal(visibility, "LOCAL_RANK=2 asks for GPU 2, and 2 are visible", "unset LOCAL_RANK");

  visibility = without_device();
  visibility.visible_devices = "";
  expect_refusal(visibility, "CUDA_VISIBLE_DEVICES='' hides every GPU", "unset");
  visibility.visible_devices = "-1";
  expect_refusal(visibility, "CUDA_VISIBLE_DEVICES='-1' hides every GPU", "unset");
  visibility.visible_devices = "7";
  expect_refusal(visibility, "CUDA_VISIBLE_DEVICES='7' names no GPU", "nvidia-smi");

  visibility = without_device();
  visibility.nvidia = {};
  visibility.supported = "";
  expect_refusal(visibility, "there is no NVIDIA GPU (cudaGetDeviceCount", "--gpus all");

  visibility = without_device();
  visibility.supported = "";
  expect_refusal(visibility, "no driver answers", "libcuda.so.1");
  visibility.nvidia = {"", 0, 1};
  expect_refusal(visibility, "no driver answers", "install NVIDIA's driver");

  visibility = without_device();
  visibility.supported = "12.4";
  expect_refusal(visibility, "the driver knows CUDA 12.4 at most, this program needs 13.0", "580");

  visibility = without_device();
  visibility.nvidia.device_files = 0;
  expect_refusal(visibility, "no /dev/nvidia0", "docker run --gpus all");

  visibility.nvidia.windows = true;  // where a GPU of Windows has no such file
  expect_refusal(visibility, "no GPU can be used (cudaGetDeviceCount", "dmesg");

  expect_refusal(without_device(), "no GPU can be used (cudaGetDeviceCount", "dmesg");
}

TEST(GpuVisibility, a_cuda_library_that_cannot_be_loaded_is_no_reason_to_take_the_cpu) {
  GpuVisibility visibility;
  visibility.nvidia = {"580.95.05", 1, 1};
  visibility.cuda_trouble = "libcudnn.so.9: cannot open shared object file: No such file";
  expect_refusal(visibility, "cannot be loaded (libcudnn.so.9: cannot open", "bootstrap.sh");
}

TEST(GpuVisibility, a_program_without_cuda_goes_on_and_says_so) {
  GpuVisibility visibility;
  EXPECT_FALSE(why_no_gpu(visibility));
  for (const NvidiaTraces& traces : {NvidiaTraces{"580.95.05", 0, 0}, NvidiaTraces{"", 1, 0},
                                     NvidiaTraces{"", 0, 1}, NvidiaTraces{"", 0, 0, true}}) {
    visibility.nvidia = traces;
    const auto found = why_no_gpu(visibility);
    ASSERT_TRUE(found);
    EXPECT_FALSE(found->refused);
    EXPECT_THAT(found->what, HasSubstr("built without CUDA"));
    EXPECT_THAT(found->cure, HasSubstr("nvcc"));
  }
}

}  // namespace
}  // namespace lmms::kernels
