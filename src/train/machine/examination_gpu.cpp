#include <cmath>
#include <cstdlib>

#include "core/format.h"
#include "core/units.h"
#include "train/machine/examination.h"

namespace lmms::train {
namespace {

constexpr int64_t kGiB = int64_t{1} << 30;

bool has_hardware(const DoctorFacts& facts) {
  return facts.nvidia.device_files > 0 || !facts.nvidia.driver.empty() || facts.nvidia.cards > 0 ||
         !facts.nvml.gpus.empty();
}

std::string hardware_text(const DoctorFacts& facts) {
  if (!facts.nvml.gpus.empty()) {
    return fmt::format("{} in the machine: {}", facts.nvml.gpus.size(), facts.nvml.gpus[0].name);
  }
  return has_hardware(facts) ? "an NVIDIA GPU in the machine" : "none";
}

Finding examine_without_cuda(const DoctorFacts& facts) {
  Finding line = fine("GPU", "GPU", hardware_text(facts));
  const bool wanted = !facts.run || !facts.run->use_cpu;
  if (has_hardware(facts) && wanted) {
    note(line, "this is the CPU program: it does not use the GPU",
         "call bin/cuda/lmms of the build folder (made where nvcc is found), or lmms-gpu/lmms of "
         "make gpu-bundle");
  }
  return line;
}

// The CUDA program, and the runtime finds no device: why?
Finding examine_no_device(const DoctorFacts& facts) {
  Finding line = fine("GPU", "GPU", hardware_text(facts));
  if (facts.run && facts.run->use_cpu) return line;
  const kernels::CudaFacts& cuda = facts.cuda;
  const std::string* visible = variable(facts, "CUDA_VISIBLE_DEVICES");
  const std::string said = cuda.trouble.empty() ? "" : " (" + cuda.trouble + ")";
  const std::string falls_back = "; a run would take the CPU";
  if (visible != nullptr && (visible->empty() || *visible == "-1")) {
    note(line, fmt::format("CUDA_VISIBLE_DEVICES='{}' hides every GPU{}", *visible, falls_back),
         "unset CUDA_VISIBLE_DEVICES");
  } else if (!has_hardware(facts)) {
    note(line, "there is no NVIDIA GPU" + falls_back + said,
         "in a container: docker run --gpus all; without a GPU bin/lmms does the same");
  } else if (cuda.supported.empty()) {
    trouble(line, "there is a GPU, but no driver answers" + said + falls_back,
            facts.nvidia.driver.empty()
                ? "install NVIDIA's driver (580 or later); in a container: docker run --gpus all"
                : "make libcuda.so.1 of the driver visible; in a container: docker run --gpus all");
  } else if (std::atof(cuda.supported.c_str()) < std::floor(std::atof(cuda.runtime.c_str()))) {
    trouble(line,
            fmt::format("the driver knows CUDA {} at most, this program needs {}{}", cuda.supported,
                        cuda.runtime, falls_back),
            cuda.runtime.starts_with("13.") ? "update NVIDIA's driver to 580 or later"
                                            : "update NVIDIA's driver");
  } else if (visible != nullptr) {
    trouble(line,
            fmt::format("CUDA_VISIBLE_DEVICES='{}' names no GPU of this machine{}{}", *visible,
                        said, falls_back),
            "unset it, or name devices that nvidia-smi lists");
  } else if (facts.nvidia.device_files == 0) {
    trouble(line, "the driver is loaded, but there is no /dev/nvidia0" + said + falls_back,
            "in a container: docker run --gpus all; elsewhere run nvidia-modprobe");
  } else {
    trouble(line, "no GPU can be used" + said + falls_back,
            "look at nvidia-smi and at the kernel's log (dmesg | grep -i nvrm)");
  }
  return line;
}

const kernels::NvmlGpu* nvml_of(const DoctorFacts& facts, const kernels::GpuFacts& gpu) {
  for (const kernels::NvmlGpu& other : facts.nvml.gpus) {
    if (kernels::same_pci(other.pci, gpu.pci)) return &other;
  }
  return nullptr;
}

std::string processes_text(const kernels::NvmlGpu* gpu) {
  if (gpu == nullptr || gpu->processes.empty()) return "other processes hold";
  std::vector<std::string> ids;
  for (size_t i = 0; i < gpu->processes.size() && i < 4; ++i)
    ids.push_back(fmt::format("{}", gpu->processes[i].id));
  return fmt::format("other processes ({}{}) hold", joined(ids),
                     gpu->processes.size() > 4 ? ", ..." : "");
}

Finding examine_gpu(const DoctorFacts& facts, const kernels::GpuFacts& gpu) {
  Finding line = fine("GPU", fmt::format("GPU {}", gpu.index),
                      fmt::format("{}, {} ({} free), compute capability {}.{}, {} multiprocessors",
                                  gpu.name, size_text(gpu.total_bytes), size_text(gpu.free_bytes),
                                  gpu.major, gpu.minor, gpu.processors));
  const kernels::NvmlGpu* more = nvml_of(facts, gpu);
  if (!gpu.trouble.empty()) {
    line.text = gpu.name.empty() ? "not usable" : gpu.name;
    const std::string cure =
        "look at nvidia-smi: another process may own it (compute mode), or it needs a reset";
    if (gpu.index == facts.device_index)
      trouble(line, "it cannot be used: " + gpu.trouble, cure);
    else
      note(line, "it cannot be used: " + gpu.trouble, cure);
    return line;
  }
  constexpr int64_t kOwn = 2 * kGiB;  // the driver's share and this process's context, at most
  const int64_t taken = gpu.total_bytes - gpu.free_bytes;
  if (taken > kOwn) {
    note(line, fmt::format("{} about {} of it", processes_text(more), size_text(taken)),
         "see nvidia-smi; choose another GPU with CUDA_VISIBLE_DEVICES, or end them");
  }
  if (gpu.major < 8) {
    note(line, "FlashAttention-2 and fast bf16 begin with compute capability 8.0",
         "train with trainer_args.bf16: false here, or on an A100 or later");
  }
  if (more != nullptr && more->uncorrected_errors.value_or(0) > 0) {
    note(line,
         fmt::format("{} errors of its memory were not corrected since the driver was loaded",
                     *more->uncorrected_errors),
         "let the administrator reset the GPU (nvidia-smi -r); replace it if they come back");
  }
  if (more != nullptr && !more->slowed_by.empty()) {
    note(line, "it runs slower now, by " + joined(more->slowed_by),
         "look at its cooling and power supply (nvidia-smi -q -d PERFORMANCE,TEMPERATURE)");
  }
  return line;
}

}  // namespace

void examine_gpus(const DoctorFacts& facts, std::vector<Finding>& out) {
  if (!facts.cuda.built) {
    out.push_back(examine_without_cuda(facts));
    return;
  }
  if (facts.cuda.gpus.empty()) {
    out.push_back(examine_no_device(facts));
    return;
  }
  for (const kernels::GpuFacts& gpu : facts.cuda.gpus) out.push_back(examine_gpu(facts, gpu));
  if (const std::string* blocking = variable(facts, "CUDA_LAUNCH_BLOCKING");
      blocking != nullptr && *blocking == "1") {
    Finding line = fine("GPU", "launches", "CUDA_LAUNCH_BLOCKING=1");
    note(line, "the host waits for every kernel, which is for finding bugs and slow",
         "unset CUDA_LAUNCH_BLOCKING");
    out.push_back(std::move(line));
  }
}

}  // namespace lmms::train
