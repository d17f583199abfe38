#include "parallel/bucket.h"

#include <ATen/ops/zeros.h>

#include <algorithm>

namespace lmms::parallel {
namespace {

int64_t elements(const std::vector<int64_t>& shape) {
  int64_t n = 1;
  for (int64_t size : shape) n *= size;
  return n;
}

}  // namespace

Bucket::Bucket(BucketLayout layout, std::vector<BucketEntry> entries, at::Device device)
    : layout_(std::move(layout)) {
  std::stable_partition(entries.begin(), entries.end(),
                        [](const BucketEntry& e) { return e.decay; });
  for (BucketEntry& entry : entries) {
    const int64_t length = elements(entry.shape);
    const int64_t padded = (length + kAlignment - 1) / kAlignment * kAlignment;
    if (ranges_.empty() || ranges_.back().decay != entry.decay)
      ranges_.push_back({size_, 0, entry.decay});
    segments_.push_back({std::move(entry), size_, length});
    size_ += padded;
    ranges_.back().length += padded;
  }
  const auto options = at::TensorOptions().device(device);
  weights_ = at::zeros({size_}, options.dtype(layout_.dtype));
  if (!layout_.trainable) return;
  masters_ = layout_.dtype == at::kFloat || !layout_.masters
                 ? weights_
                 : at::zeros({size_}, options.dtype(at::kFloat));
  gradients_ = at::zeros({size_}, options.dtype(layout_.gradient_dtype));
}

at::Tensor Bucket::view(const at::Tensor& flat, size_t i) const {
  const BucketSegment& s = segments_[i];
  return flat.narrow(0, s.offset, s.length).view(s.entry.shape);
}

at::Tensor Bucket::leaf(size_t i) const {
  // variable_data gives the view a version counter of its own: updates of one parameter do not
  // invalidate what autograd saved of its neighbours
  at::Tensor w = weight(i).variable_data();
  if (layout_.trainable) {
    w.set_requires_grad(true);
    if (layout_.gradient_dtype != layout_.dtype) w.set_grad_dtype(layout_.gradient_dtype);
    w.mutable_grad() = gradient(i).variable_data();
  }
  return w;
}

void Bucket::zero_gradients() {
  if (gradients_.defined()) gradients_.zero_();
}

}  // namespace lmms::parallel
