#pragma once
/// What a process sees of GPUs, and what it means for a run that would have to take the CPU.
#include <optional>
#include <string>

#include "kernels/device_facts.h"
#include "kernels/device_nvml.h"

namespace lmms::kernels {

/// What the system shows of NVIDIA hardware to a program without CUDA.
struct NvidiaTraces {
  std::string driver;    ///< version of the kernel's driver; empty if none is loaded
  int device_files = 0;  ///< /dev/nvidia0 and on: what a container was given
  int cards = 0;         ///< on the PCI bus
  bool windows = false;  ///< lent by Windows (WSL 2), which shows none of the above

  bool any() const { return !driver.empty() || device_files > 0 || cards > 0 || windows; }
};

/// The version of NVIDIA's driver, "580.95.05"; empty without one.
std::string nvidia_driver_version();

/// Looks at /proc, /dev and the PCI bus; takes no time.
NvidiaTraces nvidia_traces();

/// The facts; they can describe any machine.
struct GpuVisibility {
  bool cuda_program = false;       ///< CUDA's library runs, not the CPU's
  std::string cuda_trouble;        ///< why it does not, though it was wanted
  std::string runtime, supported;  ///< "13.0": CUDA of this program, the newest of the driver
  std::string trouble;             ///< what the CUDA runtime says if it finds no device
  int visible_gpus = 0;            ///< that this process may use
  NvidiaTraces nvidia;
  std::optional<std::string> visible_devices;  ///< CUDA_VISIBLE_DEVICES
  int local_rank = 0;
};

/// Opens no device.
GpuVisibility gpu_visibility(const CudaFacts& cuda, int local_rank,
                             const std::optional<std::string>& visible_devices);

/// Why a run that did not ask for the CPU would get it.
struct NoGpu {
  bool refused = false;  ///< the run must end; else it goes on and says so
  std::string what, cure;
};
/// Nothing if there is a GPU for this rank, or, in a build without CUDA, none in the machine.
std::optional<NoGpu> why_no_gpu(const GpuVisibility& visibility);

}  // namespace lmms::kernels
