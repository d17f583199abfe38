#include "kernels/gpu_visibility.h"

#include <cmath>
#include <cstdlib>

#include "core/format.h"
#include "core/proc.h"
#include "start/choice.h"
#include "start/nvidia.h"

namespace lmms::kernels {
namespace {

NoGpu refusal(std::string what, const std::string& said, std::string cure) {
  return {true, std::move(what) + (said.empty() ? "" : " (" + said + ")"), std::move(cure)};
}

/// CUDA's library runs, and the runtime finds no device: why?
NoGpu why_no_device(const GpuVisibility& visibility) {
  const std::optional<std::string>& visible = visibility.visible_devices;
  const bool older =
      std::atof(visibility.supported.c_str()) < std::floor(std::atof(visibility.runtime.c_str()));
  if (visible && (visible->empty() || *visible == "-1")) {
    return refusal(fmt::format("CUDA_VISIBLE_DEVICES='{}' hides every GPU", *visible), "",
                   "unset CUDA_VISIBLE_DEVICES");
  }
  if (!visibility.nvidia.any()) {
    return refusal("there is no NVIDIA GPU", visibility.trouble,
                   "in a container: docker run --gpus all");
  }
  if (visibility.supported.empty()) {
    return refusal(
        "there is a GPU, but no driver answers", visibility.trouble,
        visibility.nvidia.driver.empty()
            ? "install NVIDIA's driver (580 or later); in a container: docker run --gpus "
              "all"
            : "make libcuda.so.1 of the driver visible; in a container: docker run "
              "--gpus all");
  }
  if (older) {
    return refusal(fmt::format("the driver knows CUDA {} at most, this program needs {}",
                               visibility.supported, visibility.runtime),
                   "",
                   visibility.runtime.starts_with("13.") ? "update NVIDIA's driver to 580 or later"
                                                         : "update NVIDIA's driver");
  }
  if (visible) {
    return refusal(fmt::format("CUDA_VISIBLE_DEVICES='{}' names no GPU of this machine", *visible),
                   visibility.trouble, "unset it, or name devices that nvidia-smi lists");
  }
  if (visibility.nvidia.device_files == 0 && !visibility.nvidia.windows) {
    return refusal("the driver is loaded, but there is no /dev/nvidia0", visibility.trouble,
                   "in a container: docker run --gpus all; elsewhere run nvidia-modprobe");
  }
  return refusal("no GPU can be used", visibility.trouble,
                 "look at nvidia-smi and at the kernel's log (dmesg | grep -i nvrm)");
}

}  // namespace

std::string nvidia_driver_version() {
  return parse_nvidia_version(read_system_file("/proc/driver/nvidia/version").value_or(""));
}

NvidiaTraces nvidia_traces() {
  NvidiaTraces traces;
  traces.driver = nvidia_driver_version();
  traces.device_files = start::nvidia_device_files();
  traces.cards = start::nvidia_cards();
  traces.windows = start::nvidia_of_windows();
  return traces;
}

GpuVisibility gpu_visibility(const CudaFacts& cuda, int local_rank,
                             const std::optional<std::string>& visible_devices) {
  GpuVisibility visibility;
  visibility.cuda_program = cuda.built;
  visibility.runtime = cuda.runtime;
  visibility.supported = cuda.supported;
  visibility.trouble = cuda.trouble;
  visibility.visible_gpus = cuda.device_count;
  visibility.nvidia = nvidia_traces();
  visibility.visible_devices = visible_devices;
  visibility.local_rank = local_rank;
  return visibility;
}

std::optional<NoGpu> why_no_gpu(const GpuVisibility& visibility) {
  if (!visibility.cuda_program && !visibility.cuda_trouble.empty()) {
    return refusal("CUDA's part of the program cannot be loaded", visibility.cuda_trouble,
                   start::cuda_cure(visibility.cuda_trouble));
  }
  if (!visibility.cuda_program) {
    if (!visibility.nvidia.any()) return std::nullopt;
    return NoGpu{false, "this program was built without CUDA: it does not use the machine's GPU",
                 "install the CUDA toolkit (nvcc 13.0 or later) and build it again (make), or take "
                 "the bundle of make gpu-bundle (for H100 and H200; docs/guide/gpu-server.md says "
                 "how others get one); or say that the CPU is meant: trainer_args.use_cpu: true"};
  }
  if (visibility.visible_gpus == 0) return why_no_device(visibility);
  if (visibility.local_rank < visibility.visible_gpus) return std::nullopt;
  return refusal(fmt::format("LOCAL_RANK={} asks for GPU {}, and {} {} visible",
                             visibility.local_rank, visibility.local_rank, visibility.visible_gpus,
                             visibility.visible_gpus == 1 ? "is" : "are"),
                 "", "start as many processes as there are GPUs, or unset LOCAL_RANK");
}

}  // namespace lmms::kernels
