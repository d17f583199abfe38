#include "kernels/gpu_visibility.h"

#include <algorithm>
#include <cctype>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "core/format.h"
#include "core/proc.h"

namespace lmms::kernels {
namespace {

namespace fs = std::filesystem;

/// Entries of a folder of the system that `wanted` takes; 0 if there is no such folder.
template <class F>
int count_entries(const fs::path& folder, const F& wanted) {
  std::error_code failure;
  int count = 0;
  for (fs::directory_iterator at(folder, failure), end; !failure && at != end;
       at.increment(failure))
    count += wanted(at->path()) ? 1 : 0;
  return count;
}

std::string first_word(const fs::path& file) {
  std::ifstream in(file);
  std::string word;
  in >> word;
  return word;
}

NoGpu refusal(std::string what, const std::string& said, std::string cure) {
  return {true, std::move(what) + (said.empty() ? "" : " (" + said + ")"), std::move(cure)};
}

/// The CUDA program, and the runtime finds no device: why?
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
                   "in a container: docker run --gpus all; without a GPU take the CPU program, "
                   "bin/lmms of the build folder");
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
  if (visibility.nvidia.device_files == 0) {
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
  traces.device_files = count_entries("/dev", [](const fs::path& path) {
    const std::string name = path.filename().string();
    return name.starts_with("nvidia") && name.size() > 6 &&
           std::all_of(name.begin() + 6, name.end(),
                       [](unsigned char c) { return std::isdigit(c); });
  });
  traces.cards = count_entries("/sys/bus/pci/devices", [](const fs::path& path) {
    return first_word(path / "vendor") == "0x10de" &&
           first_word(path / "class").starts_with("0x03");
  });
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
  if (!visibility.cuda_program) {
    if (!visibility.nvidia.any()) return std::nullopt;
    return NoGpu{false, "this is the CPU program: it does not use the machine's GPU",
                 "call bin/cuda/lmms of the build folder (made where nvcc is found), or "
                 "lmms-gpu/lmms of make gpu-bundle"};
  }
  if (visibility.visible_gpus == 0) return why_no_device(visibility);
  if (visibility.local_rank < visibility.visible_gpus) return std::nullopt;
  return refusal(fmt::format("LOCAL_RANK={} asks for GPU {}, and {} {} visible",
                             visibility.local_rank, visibility.local_rank, visibility.visible_gpus,
                             visibility.visible_gpus == 1 ? "is" : "are"),
                 "", "start as many processes as there are GPUs, or unset LOCAL_RANK");
}

}  // namespace lmms::kernels
