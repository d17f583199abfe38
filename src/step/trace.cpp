#include "step/trace.h"

#include <kineto/ActivityType.h>
#include <torch/csrc/autograd/profiler_kineto.h>

#include <memory>
#include <set>
#include <string>
#include <vector>

#include "core/error.h"
#include "kernels/device.h"

namespace lmms::step {
namespace {

namespace fs = std::filesystem;
namespace profiling = torch::autograd::profiler;
using torch::profiler::impl::ActivityType;

std::set<ActivityType> activities(c10::Device device) {
  std::set<ActivityType> out{ActivityType::CPU};
  if (device.is_cuda()) out.insert(ActivityType::CUDA);
  return out;
}

ProfileEvent event_of(const profiling::KinetoEvent& e) {
  using Kind = ProfileEvent::Kind;
  Kind kind = Kind::other;  // ranges too, which a trace repeats on the device's row
  switch (static_cast<libkineto::ActivityType>(e.activityType())) {
    case libkineto::ActivityType::CONCURRENT_KERNEL:
    case libkineto::ActivityType::GPU_MEMCPY:
    case libkineto::ActivityType::GPU_MEMSET:
      kind = Kind::kernel;
      break;
    case libkineto::ActivityType::CUDA_RUNTIME:
    case libkineto::ActivityType::CUDA_DRIVER:
      kind = Kind::host;
      break;
    default:
      break;
  }
  return {e.name(), kind, static_cast<int64_t>(e.startNs()), static_cast<int64_t>(e.endNs())};
}

}  // namespace

Trace::Trace(c10::Device device) : device_(device) {
  kernels::synchronize(device_);
  const torch::profiler::impl::ProfilerConfig config(torch::profiler::impl::ProfilerState::KINETO,
                                                     /*report_input_shapes=*/true);
  profiling::prepareProfiler(config, activities(device_));
  profiling::enableProfiler(config, activities(device_));
}

Trace::~Trace() {
  if (open_) profiling::disableProfiler();
}

Breakdown Trace::end(int64_t steps, const fs::path& file) {
  kernels::synchronize(device_);
  const std::unique_ptr<profiling::ProfilerResult> result = profiling::disableProfiler();
  open_ = false;
  std::vector<ProfileEvent> events;
  for (const profiling::KinetoEvent& e : result->events()) events.push_back(event_of(e));
  const fs::path unfinished = file.string() + ".tmp";
  result->save(unfinished.string());
  std::error_code error;
  fs::rename(unfinished, file, error);
  if (error)
    throw Error(file.string(), "the trace could not be written: " + error.message(),
                "see that the disk of output_dir has room", Exit::failed);
  Breakdown out = break_down(events, steps);
  // the wait of this function
  if (const auto own = out.host_waits.find("cudaDeviceSynchronize"); own != out.host_waits.end())
    if (--own->second == 0) out.host_waits.erase(own);
  return out;
}

}  // namespace lmms::step
