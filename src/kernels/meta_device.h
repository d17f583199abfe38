#pragma once
/// Which device tensors of the meta device stand for: a plan rehearses steps on them
/// (plan/rehearsal.h).
#include <c10/core/Device.h>

namespace lmms::kernels {

/// Compute capability of the GPU that meta tensors of this thread stand for; 0: the CPU.
inline thread_local int meta_stands_for = 9;

/// Whether ops compute there as on the CPU: by compositions of ATen's kernels.
inline bool computes_as_cpu(c10::Device device) {
  return device.is_cpu() || (device.is_meta() && meta_stands_for == 0);
}

}  // namespace lmms::kernels
