#include "step/network_size.h"

#include <c10/core/ScalarType.h>

#include <map>
#include <string>

#include "parallel/bucket.h"

namespace lmms::step {
namespace {

constexpr int64_t kFloat = 4;  // bytes

int64_t padded(int64_t elements) {
  return (elements + parallel::kAlignment - 1) / parallel::kAlignment * parallel::kAlignment;
}

/// Averages cover whole buckets, in which anything is averaged.
void add_averages(const nn::ParamTable& params, const optim::EmaFilter& filter, NetworkSize& out) {
  struct Bucket {
    int64_t elements = 0, padded = 0;
    bool averaged = false;
  };
  std::map<std::string, Bucket> buckets;  // by unit, of what is trained
  for (const nn::Param& p : params.all()) {
    if (!p.trainable) continue;
    Bucket& bucket = buckets[p.unit];
    bucket.elements += p.elements();
    bucket.padded += padded(p.stored_elements());
    for (const nn::Part& part : p.parts)
      bucket.averaged = bucket.averaged || filter.takes(part.hub_name);
  }
  for (const auto& [unit, bucket] : buckets) {
    if (!bucket.averaged) continue;
    out.averaged += bucket.elements;
    out.averages += bucket.padded * kFloat;
  }
}

}  // namespace

NetworkSize network_size(const nn::ParamTable& params, const NetworkOptions& options) {
  const nn::MemoryOptions& memory = options.memory;
  const int64_t weight = static_cast<int64_t>(c10::elementSize(memory.dtype));
  const int64_t gradient = static_cast<int64_t>(c10::elementSize(memory.gradient_dtype));
  const bool masters = memory.masters && memory.dtype != at::kFloat;
  const int64_t state = masters ? kFloat : weight;
  NetworkSize out;
  for (const nn::Param& p : params.all()) {
    const int64_t n = padded(p.stored_elements());
    out.weights += n * weight;
    (p.trainable ? out.trained : out.frozen) += p.elements();
    if (!p.trainable) continue;
    out.masters += masters ? n * kFloat : 0;
    out.gradients += n * gradient;
    // the two moments of AdamW, the only optimiser there is: asking one takes buckets
    out.optimizer_states += 2 * n * state;
  }
  if (options.ema.ema_enabled) add_averages(params, options.ema.ema_param_filter, out);
  return out;
}

}  // namespace lmms::step
