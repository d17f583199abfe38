#include "parallel/bucket.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>
#include <c10/util/Exception.h>

#include <algorithm>

namespace lmms::parallel {
namespace {

int64_t elements(const std::vector<int64_t>& shape) {
  int64_t n = 1;
  for (int64_t size : shape) n *= size;
  return n;
}

int64_t rounded_up(int64_t n, int64_t multiple) {
  return (n + multiple - 1) / multiple * multiple;
}

// [size] in a Storage that has no memory yet.
at::Tensor without_memory(int64_t size, const at::TensorOptions& options) {
  const auto bytes = static_cast<size_t>(size) * options.dtype().itemsize();
  const c10::Storage storage(c10::Storage::use_byte_size_t(), bytes,
                             c10::DataPtr(nullptr, options.device()), /*allocator=*/nullptr,
                             /*resizable=*/false);
  return at::empty({0}, options).set_(storage, 0, {size}, {1});
}

void set_memory(const at::Tensor& t, void* memory) {
  t.storage().unsafeGetStorageImpl()->set_data_ptr_noswap(c10::DataPtr(memory, t.device()));
}

}  // namespace

Bucket::Bucket(BucketLayout layout, std::vector<BucketEntry> entries, at::Device device)
    : layout_(std::move(layout)) {
  const auto [index, count] = layout_.shard;
  TORCH_INTERNAL_ASSERT(index >= 0 && index < count, "shard ", index, " of ", count);
  std::stable_partition(entries.begin(), entries.end(),
                        [](const BucketEntry& e) { return e.decay; });
  std::vector<BucketRange> ranges;  // of the whole
  for (BucketEntry& entry : entries) {
    const int64_t length = elements(entry.shape);
    const int64_t padded = rounded_up(length, kAlignment);
    if (ranges.empty() || ranges.back().decay != entry.decay)
      ranges.push_back({size_, 0, entry.decay});
    segments_.push_back({std::move(entry), size_, length, padded});
    size_ += padded;
    ranges.back().length += padded;
  }
  const int64_t even = rounded_up(size_, kAlignment * count);
  if (!segments_.empty()) {
    ranges.back().length += even - size_;
    segments_.back().padded += even - size_;
  }
  size_ = even;
  local_.length = size_ / count;
  local_.offset = index * local_.length;
  for (const BucketRange& range : ranges) {
    const int64_t begin = std::max(range.offset, local_.offset);
    const int64_t end = std::min(range.offset + range.length, local_.offset + local_.length);
    if (begin < end) ranges_.push_back({begin - local_.offset, end - begin, range.decay});
  }
  allocate(device);
}

void Bucket::allocate(at::Device device) {
  const at::ScalarType dtype = layout_.key.dtype;
  const auto options = at::TensorOptions().device(device);
  const bool apart = layout_.shard.count > 1;
  local_.weights = at::zeros({local_.length}, options.dtype(dtype));
  whole_.weights = apart ? without_memory(size_, options.dtype(dtype)) : local_.weights;
  if (!layout_.key.trainable) return;
  if (dtype != at::kFloat && layout_.masters)
    local_.masters = at::zeros({local_.length}, options.dtype(at::kFloat));
  local_.gradients = at::zeros({local_.length}, options.dtype(layout_.gradient_dtype));
  whole_.gradients =
      apart ? at::zeros({size_}, options.dtype(layout_.gradient_dtype)) : local_.gradients;
}

at::Tensor Bucket::view(const at::Tensor& flat, size_t i) const {
  const BucketSegment& s = segments_[i];
  return flat.narrow(0, s.offset, s.length).view(s.entry.shape);
}

std::vector<Region> Bucket::local_regions(size_t i, std::span<const Region> regions) const {
  std::vector<Region> out;
  const Range held{local_.offset - segments_[i].offset, local_.length};
  for (const Region& region : regions) {
    for (const Region& part : within(region, held)) out.push_back(part);
  }
  return shifted(std::move(out), -held.offset);
}

Range Bucket::local_range(size_t i, Range range) const {
  const int64_t offset = segments_[i].offset + range.offset - local_.offset;
  const int64_t begin = std::max<int64_t>(offset, 0);
  const int64_t end = std::min(offset + range.length, local_.length);
  return {begin, std::max<int64_t>(end - begin, 0)};
}

at::Tensor Bucket::leaf(size_t i) const {
  // variable_data gives the view a version counter of its own: updates of one parameter do not
  // invalidate what autograd saved of its neighbours
  at::Tensor w = weight(i).variable_data();
  if (layout_.key.trainable) {
    w.set_requires_grad(true);
    if (layout_.gradient_dtype != layout_.key.dtype) w.set_grad_dtype(layout_.gradient_dtype);
    w.mutable_grad() = gradient(i).variable_data();
  }
  return w;
}

void Bucket::point_at(const at::Tensor& buffer) {
  TORCH_INTERNAL_ASSERT(layout_.shard.count > 1, layout_.key.unit, ": one shard is the whole");
  TORCH_INTERNAL_ASSERT(buffer.scalar_type() == layout_.key.dtype && buffer.is_contiguous() &&
                            buffer.numel() >= size_ && buffer.device() == whole_.weights.device(),
                        layout_.key.unit, " of ", size_, " elements does not fit a buffer of ",
                        buffer.sizes(), " ", buffer.options());
  buffer_ = buffer;
  set_memory(whole_.weights, buffer.mutable_data_ptr());
}

void Bucket::release() {
  if (!buffer_.defined()) return;
  set_memory(whole_.weights, nullptr);
  buffer_.reset();
}

void Bucket::zero_gradients() {
  if (!whole_.gradients.defined()) return;
  whole_.gradients.zero_();
  if (layout_.shard.count > 1) local_.gradients.zero_();
}

}  // namespace lmms::parallel
