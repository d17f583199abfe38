#include "train/device.h"

#include <ATen/Context.h>

#include "core/error.h"
#include "core/log.h"
#include "kernels/device.h"
#include "train/machine/gpu_sight.h"

namespace lmms::train {
namespace {

/// The CPU, for a run that did not ask for it.
void account_for_cpu(const Place& place) {
  const auto found =
      without_gpu(gpu_sight(kernels::cuda_versions(), place.local_rank, place.visible_devices));
  if (!found) return;
  if (!found->refused) {
    log::warning(found->what + "; " + found->cure);
    return;
  }
  throw Error("", "no GPU for this run: " + found->what,
              found->cure +
                  "; or ask for the CPU: trainer_args.use_cpu: true (lmms generate, chat: --cpu)");
}

}  // namespace

c10::Device open_device(bool use_cpu, const Place& place) {
  const c10::Device device =
      use_cpu ? c10::Device(c10::kCPU) : kernels::best_device(place.local_rank);
  if (device.is_cpu() && !use_cpu) account_for_cpu(place);
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
