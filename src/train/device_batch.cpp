#include "train/device_batch.h"

#include <ATen/ops/empty.h>

#include <algorithm>
#include <cstring>
#include <vector>

#include "core/error.h"
#include "core/format.h"

namespace lmms::train {
namespace {

template <class T>
at::Tensor moved(const std::vector<T>& values, at::ScalarType dtype, at::Device device) {
  at::Tensor host = at::empty({static_cast<int64_t>(values.size())},
                              at::TensorOptions().dtype(dtype).pinned_memory(device.is_cuda()));
  if (!values.empty())
    std::memcpy(host.mutable_data_ptr(), values.data(), values.size() * sizeof(T));
  return host.to(device, /*non_blocking=*/true);
}

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
  out.patches = moved(vision.patches, at::kFloat, device).view({patches, -1});
  out.grids = vision.grids;
  out.rows = moved(vision.rows, at::kLong, device);
  return out;
}

}  // namespace

nn::Batch to_device(const data::Batch& batch, double denominator, int64_t vocab_size,
                    at::Device device) {
  check_range(batch.input_ids, vocab_size, "token id");
  check_range(batch.labels, vocab_size, "target");
  nn::Batch out;
  out.input_ids = moved(batch.input_ids, at::kInt, device);
  out.position_ids = moved(batch.position_ids, at::kInt, device);
  if (batch.position_ids.size() != batch.input_ids.size())
    out.position_ids = out.position_ids.view({3, batch.tokens()});
  out.vision = to_device(batch.vision, device);

  std::vector<int32_t> cu_seqlens{0};
  for (const data::Segment& s : batch.segments) {
    out.attention.lengths.push_back(s.length);
    out.attention.max_length = std::max<int64_t>(out.attention.max_length, s.length);
    cu_seqlens.push_back(s.start + s.length);
  }
  out.attention.cu_seqlens = moved(cu_seqlens, at::kInt, device);

  std::vector<int64_t> supervised, targets;
  std::vector<float> weights;
  for (size_t t = 0; t < batch.weights.size(); ++t) {
    if (batch.weights[t] == 0) continue;
    supervised.push_back(static_cast<int64_t>(t));
    targets.push_back(batch.labels[t]);
    weights.push_back(static_cast<float>(static_cast<double>(batch.weights[t]) / denominator));
  }
  out.supervised = moved(supervised, at::kLong, device);
  out.targets = moved(targets, at::kLong, device);
  out.weights = moved(weights, at::kFloat, device);
  return out;
}

}  // namespace lmms::train
