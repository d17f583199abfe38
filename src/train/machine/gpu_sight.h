#pragma once
/// What a process sees of GPUs, and what it means for a run that would have to take the CPU.
#include <optional>
#include <string>

#include "kernels/device_facts.h"
#include "kernels/device_nvml.h"

namespace lmms::train {

/// What the system shows of NVIDIA hardware to a program without CUDA.
struct NvidiaTraces {
  std::string driver;    ///< version of the kernel's driver; empty if none is loaded
  int device_files = 0;  ///< /dev/nvidia0 and on: what a container was given
  int cards = 0;         ///< on the PCI bus

  bool any() const { return !driver.empty() || device_files > 0 || cards > 0; }
};

/// Looks at /proc, /dev and the PCI bus; takes no time.
NvidiaTraces nvidia_traces();

/// The facts; they can describe any machine.
struct GpuSight {
  bool cuda_program = false;
  std::string runtime, supported;  ///< "13.0": CUDA of this program, the newest of the driver
  std::string trouble;             ///< what the CUDA runtime says if it finds no device
  int visible_gpus = 0;            ///< that this process may use
  NvidiaTraces nvidia;
  std::optional<std::string> visible_devices;  ///< CUDA_VISIBLE_DEVICES
  int local_rank = 0;
};

/// Opens no device.
GpuSight gpu_sight(const kernels::CudaFacts& cuda, int local_rank,
                   const std::optional<std::string>& visible_devices);

/// Why a run that did not ask for the CPU would get it.
struct WithoutGpu {
  bool refused = false;  ///< by the CUDA program; the CPU program goes on and says so
  std::string what, cure;
};
/// Nothing if there is a GPU for this rank, or, for the CPU program, none in the machine.
std::optional<WithoutGpu> without_gpu(const GpuSight& sight);

}  // namespace lmms::train
