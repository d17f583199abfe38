#include "step/device_batch.h"

#include <algorithm>
#include <limits>
#include <vector>

#include "core/error.h"
#include "core/format.h"
#include "kernels/meta_device.h"
#include "kernels/on_device.h"

namespace lmms::step {
namespace {

using kernels::on_device;

void check_range(const std::vector<int32_t>& ids, int64_t vocab_size, const char* what) {
  for (int32_t id : ids) {
    if (id < 0 || id >= vocab_size) {
      throw Error(
          "dataset_config.processor_config",
          fmt::format("{} {} is outside the model's vocabulary of {}", what, id, vocab_size),
          "use the tokenizer that belongs to the model, or set vocab_size of a model made from its "
          "config");
    }
  }
}

nn::MediaInput to_device(const data::PackedMedia& media, at::Device device) {
  nn::MediaInput out;
  out.kind = media.kind;
  if (media.empty()) return out;
  int64_t patches = 0;
  for (const PatchGrid& grid : media.grids) patches += grid.patches();
  out.values = on_device(media.values, at::kFloat, device).view({patches, -1});
  out.grids = media.grids;
  out.layouts = media.layouts;
  out.rows = on_device(media.rows, at::kLong, device);
  return out;
}

/// Segments of one sample may see each other; the pad sees itself.
kernels::AttentionPlan attention_of(const data::Batch& batch, at::Device device) {
  std::vector<kernels::AttentionSegment> segments;
  for (const data::Segment& s : batch.segments)
    segments.push_back({s.length, s.length, s.mode, s.sample, s.role});
  return kernels::attention_plan(std::move(segments), device);
}

}  // namespace

int64_t id_limit(const models::Model& model) {
  const models::LanguageModel* reads = model.language_model();
  return reads != nullptr ? reads->vocab_size() : std::numeric_limits<int64_t>::max();
}

nn::Batch to_device(const data::Batch& batch, double denominator, int64_t vocab_size,
                    at::Device device) {
  check_range(batch.input_ids, vocab_size, "token id");
  check_range(batch.labels, vocab_size, "target");
  nn::Batch out;
  out.input_ids = on_device(batch.input_ids, at::kInt, device);
  const bool as_cpu = kernels::computes_as_cpu(device);
  if (!as_cpu) out.embedding = kernels::embedding_plan(batch.input_ids, device);
  out.position_ids = on_device(batch.position_ids, at::kInt, device);
  if (batch.position_ids.size() != batch.input_ids.size())
    out.position_ids = out.position_ids.view({3, batch.tokens()});
  for (const data::PackedMedia& part : batch.media) out.media[part.kind] = to_device(part, device);
  for (const auto& [name, extra] : batch.extras)
    out.extras[name] = {on_device(extra.values, at::kFloat, device), extra.lengths};
  out.attention = attention_of(batch, device);
  const Supervised supervised = supervised_of(batch, denominator, as_cpu ? 1 : kGpuTokenGrain);
  out.supervised = on_device(supervised.positions, at::kLong, device);
  out.targets = on_device(supervised.targets, at::kLong, device);
  out.weights = on_device(supervised.weights, at::kFloat, device);
  return out;
}

Supervised supervised_of(const data::Batch& batch, double denominator, int64_t multiple) {
  const auto trained = std::count_if(batch.weights.begin(), batch.weights.end(),
                                     [](float weight) { return weight != 0; });
  int64_t pads =
      trained == 0 ? 0
                   : std::min((multiple - trained % multiple) % multiple, batch.tokens() - trained);
  Supervised out;
  for (size_t t = 0; t < batch.weights.size(); ++t) {
    if (batch.weights[t] == 0 && pads-- <= 0) continue;
    out.positions.push_back(static_cast<int64_t>(t));
    out.targets.push_back(batch.labels[t]);
    out.weights.push_back(static_cast<float>(static_cast<double>(batch.weights[t]) / denominator));
  }
  return out;
}

}  // namespace lmms::step
