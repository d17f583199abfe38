#include "kernels/open_device.h"

#include <ATen/Context.h>

#include "core/error.h"
#include "core/log.h"
#include "kernels/device.h"
#include "kernels/gpu_visibility.h"

namespace lmms::kernels {
namespace {

/// The CPU, for a run that did not ask for it.
void account_for_cpu(const DeviceRequest& request) {
  GpuVisibility visibility =
      gpu_visibility(cuda_versions(), request.local_rank, request.visible_devices);
  visibility.cuda_trouble = request.cuda_trouble;
  const auto found = why_no_gpu(visibility);
  if (!found) return;
  if (!found->refused) {
    log::warning(found->what + "; " + found->cure);
    return;
  }
  throw Error(
      "", "no GPU for this run: " + found->what,
      found->cure +
          "; or ask for the CPU: trainer_args.use_cpu: true (lmms generate, chat: --cpu; init, "
          "plan: --card cpu), or LMMS_DEVICE=cpu in the environment");
}

}  // namespace

c10::Device open_device(const DeviceRequest& request) {
  const c10::Device device =
      request.use_cpu ? c10::Device(c10::kCPU) : best_device(request.local_rank);
  if (device.is_cpu() && !request.use_cpu) account_for_cpu(request);
  use_own_stream(device);
  // Its entry in ATen builds a plan for every new shape: some 50 ms for each token that is
  // generated.
  at::globalContext().setSDPUseCuDNN(false);
  if (device.is_cpu()) {
    at::globalContext().setDeterministicAlgorithms(true, /*warn_only=*/false);
    at::globalContext().setDeterministicFillUninitializedMemory(false);
  }
  return device;
}

}  // namespace lmms::kernels
