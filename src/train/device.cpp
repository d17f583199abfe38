#include "train/device.h"

#include <ATen/Context.h>

#include "kernels/device.h"

namespace lmms::train {

c10::Device open_device(bool use_cpu, const Place& place) {
  const c10::Device device =
      use_cpu ? c10::Device(c10::kCPU) : kernels::best_device(place.local_rank);
  kernels::use_own_stream(device);
  // Its entry in ATen builds a plan for every new shape: some 50 ms for each token that is
  // generated.
  at::globalContext().setSDPUseCuDNN(false);
  if (device.is_cpu()) {
    at::globalContext().setDeterministicAlgorithms(true, /*warn_only=*/false);
    at::globalContext().setDeterministicFillUninitializedMemory(false);
  }
  return device;
}

}  // namespace lmms::train
