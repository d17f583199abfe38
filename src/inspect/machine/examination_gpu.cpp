#include "core/format.h"
#include "core/units.h"
#include "inspect/machine/examination.h"

namespace lmms::inspect {
namespace {

constexpr int64_t kGiB = int64_t{1} << 30;

std::string hardware_text(const DoctorFacts& facts) {
  if (!facts.nvml.gpus.empty()) {
    return fmt::format("{} in the machine: {}", facts.nvml.gpus.size(), facts.nvml.gpus[0].name);
  }
  return facts.nvidia.any() ? "an NVIDIA GPU in the machine" : "none";
}

/// No GPU for this process: is that what the run asks for, and if not, why is it so?
Finding examine_no_device(const DoctorFacts& facts) {
  Finding line = finding("GPU", "GPU", hardware_text(facts));
  if (asks_for_cpu(facts)) return line;
  kernels::GpuVisibility visibility;
  visibility.cuda_program = facts.cuda.built;
  visibility.runtime = facts.cuda.runtime;
  visibility.supported = facts.cuda.supported;
  visibility.trouble = facts.cuda.trouble;
  visibility.nvidia = facts.nvidia;
  if (visibility.nvidia.cards == 0)
    visibility.nvidia.cards = static_cast<int>(facts.nvml.gpus.size());
  if (const std::string* visible = variable(facts, "CUDA_VISIBLE_DEVICES"))
    visibility.visible_devices = *visible;
  if (const std::string* trouble = variable(facts, "LMMS_CUDA_TROUBLE"))
    visibility.cuda_trouble = *trouble;
  const auto found = kernels::why_no_gpu(visibility);
  if (found && found->refused) {
    add_trouble(line, found->what + "; a run wants use_cpu: true (or LMMS_DEVICE=cpu) here",
                found->cure);
  } else if (found) {
    add_note(line, found->what, found->cure);
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
  return fmt::format("other processes ({}{}) hold", comma_list(ids),
                     gpu->processes.size() > 4 ? ", ..." : "");
}

Finding examine_gpu(const DoctorFacts& facts, const kernels::GpuFacts& gpu) {
  Finding line =
      finding("GPU", fmt::format("GPU {}", gpu.index),
              fmt::format("{}, {} ({} free), compute capability {}.{}, {} multiprocessors",
                          gpu.name, size_text(gpu.total_bytes), size_text(gpu.free_bytes),
                          gpu.major, gpu.minor, gpu.processors));
  const kernels::NvmlGpu* more = nvml_of(facts, gpu);
  if (!gpu.trouble.empty()) {
    line.text = gpu.name.empty() ? "not usable" : gpu.name;
    const std::string cure =
        "look at nvidia-smi: another process may own it (compute mode), or it needs a reset";
    if (gpu.index == facts.device_index)
      add_trouble(line, "it cannot be used: " + gpu.trouble, cure);
    else
      add_note(line, "it cannot be used: " + gpu.trouble, cure);
    return line;
  }
  constexpr int64_t kOwn = 2 * kGiB;  // the driver's share and this process's context, at most
  const int64_t taken = gpu.total_bytes - gpu.free_bytes;
  if (taken > kOwn) {
    add_note(line, fmt::format("{} about {} of it", processes_text(more), size_text(taken)),
             "see nvidia-smi; choose another GPU with CUDA_VISIBLE_DEVICES, or end them");
  }
  if (gpu.major < 8) {
    add_note(line, "FlashAttention-2 and fast bf16 begin with compute capability 8.0",
             "train with trainer_args.bf16: false here, or on an A100 or later");
  }
  if (more != nullptr && more->uncorrected_errors.value_or(0) > 0) {
    add_note(line,
             fmt::format("{} errors of its memory were not corrected since the driver was loaded",
                         *more->uncorrected_errors),
             "let the administrator reset the GPU (nvidia-smi -r); replace it if they come back");
  }
  if (more != nullptr && !more->slowed_by.empty()) {
    add_note(line, "it runs slower now, by " + comma_list(more->slowed_by),
             "look at its cooling and power supply (nvidia-smi -q -d PERFORMANCE,TEMPERATURE)");
  }
  return line;
}

}  // namespace

void examine_gpus(const DoctorFacts& facts, std::vector<Finding>& out) {
  if (!facts.cuda.built || facts.cuda.gpus.empty()) {
    out.push_back(examine_no_device(facts));
    return;
  }
  for (const kernels::GpuFacts& gpu : facts.cuda.gpus) out.push_back(examine_gpu(facts, gpu));
  if (const std::string* blocking = variable(facts, "CUDA_LAUNCH_BLOCKING");
      blocking != nullptr && *blocking == "1") {
    Finding line = finding("GPU", "launches", "CUDA_LAUNCH_BLOCKING=1");
    add_note(line, "the host waits for every kernel, which is for finding bugs and slow",
             "unset CUDA_LAUNCH_BLOCKING");
    out.push_back(std::move(line));
  }
}

}  // namespace lmms::inspect
