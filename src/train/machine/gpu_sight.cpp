#include "train/machine/gpu_sight.h"

#include <algorithm>
#include <cctype>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "core/format.h"
#include "train/machine/facts.h"

namespace lmms::train {
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

WithoutGpu refusal(std::string what, const std::string& said, std::string cure) {
  return {true, std::move(what) + (said.empty() ? "" : " (" + said + ")"), std::move(cure)};
}

/// The CUDA program, and the runtime finds no device: why?
WithoutGpu why_no_device(const GpuSight& sight) {
  const std::optional<std::string>& visible = sight.visible_devices;
  const bool older =
      std::atof(sight.supported.c_str()) < std::floor(std::atof(sight.runtime.c_str()));
  if (visible && (visible->empty() || *visible == "-1")) {
    return refusal(fmt::format("CUDA_VISIBLE_DEVICES='{}' hides every GPU", *visible), "",
                   "unset CUDA_VISIBLE_DEVICES");
  }
  if (!sight.nvidia.any()) {
    return refusal("there is no NVIDIA GPU", sight.trouble,
                   "in a container: docker run --gpus all; without a GPU take the CPU program, "
                   "bin/lmms of the build folder");
  }
  if (sight.supported.empty()) {
    return refusal(
        "there is a GPU, but no driver answers", sight.trouble,
        sight.nvidia.driver.empty()
            ? "install NVIDIA's driver (580 or later); in a container: docker run --gpus "
              "all"
            : "make libcuda.so.1 of the driver visible; in a container: docker run "
              "--gpus all");
  }
  if (older) {
    return refusal(fmt::format("the driver knows CUDA {} at most, this program needs {}",
                               sight.supported, sight.runtime),
                   "",
                   sight.runtime.starts_with("13.") ? "update NVIDIA's driver to 580 or later"
                                                    : "update NVIDIA's driver");
  }
  if (visible) {
    return refusal(fmt::format("CUDA_VISIBLE_DEVICES='{}' names no GPU of this machine", *visible),
                   sight.trouble, "unset it, or name devices that nvidia-smi lists");
  }
  if (sight.nvidia.device_files == 0) {
    return refusal("the driver is loaded, but there is no /dev/nvidia0", sight.trouble,
                   "in a container: docker run --gpus all; elsewhere run nvidia-modprobe");
  }
  return refusal("no GPU can be used", sight.trouble,
                 "look at nvidia-smi and at the kernel's log (dmesg | grep -i nvrm)");
}

}  // namespace

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

GpuSight gpu_sight(const kernels::CudaFacts& cuda, int local_rank,
                   const std::optional<std::string>& visible_devices) {
  GpuSight sight;
  sight.cuda_program = cuda.built;
  sight.runtime = cuda.runtime;
  sight.supported = cuda.supported;
  sight.trouble = cuda.trouble;
  sight.visible_gpus = cuda.device_count;
  sight.nvidia = nvidia_traces();
  sight.visible_devices = visible_devices;
  sight.local_rank = local_rank;
  return sight;
}

std::optional<WithoutGpu> without_gpu(const GpuSight& sight) {
  if (!sight.cuda_program) {
    if (!sight.nvidia.any()) return std::nullopt;
    return WithoutGpu{false, "this is the CPU program: it does not use the machine's GPU",
                      "call bin/cuda/lmms of the build folder (made where nvcc is found), or "
                      "lmms-gpu/lmms of make gpu-bundle"};
  }
  if (sight.visible_gpus == 0) return why_no_device(sight);
  if (sight.local_rank < sight.visible_gpus) return std::nullopt;
  return refusal(
      fmt::format("LOCAL_RANK={} asks for GPU {}, and {} {} visible", sight.local_rank,
                  sight.local_rank, sight.visible_gpus, sight.visible_gpus == 1 ? "is" : "are"),
      "", "start as many processes as there are GPUs, or unset LOCAL_RANK");
}

}  // namespace lmms::train
