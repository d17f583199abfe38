#include "train/device_batch.h"

#include <algorithm>
#include <vector>

#include "core/error.h"
#include "core/format.h"
#include "kernels/on_device.h"
#include "train/data_setup.h"

namespace lmms::train {
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

nn::VisionInput to_device(const data::VisionPart& vision, at::Device device) {
  nn::VisionInput out;
  if (vision.grids.empty()) return out;
  int64_t patches = 0;
  for (const PatchGrid& grid : vision.grids) patches += grid.patches();
  out.patches = on_device(vision.patches, at::kFloat, device).view({patches, -1});
  out.grids = vision.grids;
  out.layouts = vision.layouts;
  out.rows = on_device(vision.rows, at::kLong, device);
  return out;
}

}  // namespace

nn::Batch to_device(const data::Batch& batch, double denominator, int64_t vocab_size,
                    at::Device device) {
  check_range(batch.input_ids, vocab_size, "token id");
  check_range(batch.labels, vocab_size, "target");
  nn::Batch out;
  out.input_ids = on_device(batch.input_ids, at::kInt, device);
  if (!device.is_cpu()) out.embedding = kernels::embedding_plan(batch.input_ids, device);
  out.position_ids = on_device(batch.position_ids, at::kInt, device);
  if (batch.position_ids.size() != batch.input_ids.size())
    out.position_ids = out.position_ids.view({3, batch.tokens()});
  out.vision = to_device(batch.vision, device);
  out.run_every_tower = batch.vision_somewhere;

  std::vector<int64_t> lengths;
  for (const data::Segment& segment : batch.segments) lengths.push_back(segment.length);
  out.attention = kernels::attention_plan(std::move(lengths), device);

  const Supervised supervised =
      supervised_of(batch, denominator, device.is_cpu() ? 1 : kGpuTokenGrain);
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

}  // namespace lmms::train
