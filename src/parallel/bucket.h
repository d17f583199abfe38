#pragma once
/// A bucket is the memory of one unit's parameters of one kind: one flat tensor each for weights,
/// fp32 masters and gradients, with a table of segments. Optimisers, checkpoints and (with many
/// ranks) collectives walk buckets, never single tensors.
#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>
#include <vector>

namespace lmms::parallel {

/// Offsets are multiples of this many elements, so that every parameter is aligned for any vector
/// load.
inline constexpr int64_t kAlignment = 256;

/// A parameter as a bucket sees it.
struct BucketEntry {
  std::string name;
  std::vector<int64_t> shape;
  bool decay = true;  ///< belongs to the group with weight decay
};

struct BucketSegment {
  BucketEntry entry;
  int64_t offset = 0;  ///< elements
  int64_t length = 0;  ///< elements, without alignment
};

/// Elements [offset, offset + length) that share a weight decay.
struct BucketRange {
  int64_t offset = 0, length = 0;
  bool decay = true;
};

struct BucketLayout {
  std::string unit;
  at::ScalarType dtype = at::kFloat;  ///< of the weights that the forward reads
  at::ScalarType gradient_dtype = at::kFloat;
  bool trainable = true;  ///< a frozen bucket has no master, no gradient and no optimiser state
  /// fp32 masters where the weights are not fp32; false: the weights are their own masters
  bool masters = true;
};

class Bucket {
 public:
  /// Lays the entries out, decayed ones first, and allocates on `device`. Weights are
  /// uninitialised, gradients zero, and the gaps that alignment leaves are zero everywhere, so that
  /// flat arithmetic over a bucket is exact.
  Bucket(BucketLayout layout, std::vector<BucketEntry> entries, at::Device device);

  const BucketLayout& layout() const { return layout_; }
  const std::vector<BucketSegment>& segments() const { return segments_; }
  const std::vector<BucketRange>& ranges() const { return ranges_; }
  int64_t size() const { return size_; }

  const at::Tensor& weights() const { return weights_; }  ///< [size] of layout().dtype
  /// [size] fp32; the same tensor as weights() where these are fp32 or layout().masters is false.
  /// Undefined if frozen.
  const at::Tensor& masters() const { return masters_; }
  const at::Tensor& gradients() const {
    return gradients_;
  }  ///< [size] of layout().gradient_dtype; undefined if frozen

  /// The weight of segment i as an autograd leaf with its own version counter, whose .grad is its
  /// slot in gradients().
  at::Tensor leaf(size_t i) const;
  /// Views of segment i in the shape of its parameter.
  at::Tensor weight(size_t i) const { return view(weights_, i); }
  at::Tensor master(size_t i) const { return view(masters_, i); }
  at::Tensor gradient(size_t i) const { return view(gradients_, i); }
  at::Tensor view(const at::Tensor& flat, size_t i) const;

  void zero_gradients();

 private:
  BucketLayout layout_;
  std::vector<BucketSegment> segments_;
  std::vector<BucketRange> ranges_;
  int64_t size_ = 0;
  at::Tensor weights_, masters_, gradients_;
};

}  // namespace lmms::parallel
