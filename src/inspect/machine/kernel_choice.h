#pragma once
/// Which kernels a run would take, why, and whether they run here.
#include <c10/core/Device.h>
#include <c10/core/ScalarType.h>

#include <string>
#include <vector>

namespace lmms::inspect {

struct KernelChoice {
  std::string op;       ///< "attention"
  std::string numbers;  ///< "bf16", "bf16, fp32"
  std::string kernel;   ///< "own CUDA kernel, one pass over the buckets"
  std::string why;      ///< "a GPU in bf16"
  std::string trouble;  ///< what it said when it was tried on a few numbers; empty if it ran
};

/// Matrix products (with the peak that MFU is a share of), attention, head and optimiser for
/// weights of `dtype` on the device. Each is tried on a few numbers, forward and backward. Never
/// throws.
std::vector<KernelChoice> kernel_choices(c10::Device device, c10::ScalarType dtype);

/// Choices that differ in their numbers alone become one; the order of the first of each stays.
std::vector<KernelChoice> merged(const std::vector<KernelChoice>& choices);

}  // namespace lmms::inspect
