#pragma once
/// A bucket is the memory of one unit's parameters of one kind: one flat tensor each for weights,
/// fp32 masters and gradients, with a table of segments. Optimisers, checkpoints and (with many
/// ranks) collectives walk buckets, never single tensors.
#include <ATen/core/Tensor.h>

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "parallel/region.h"

namespace lmms::parallel {

/// Offsets are multiples of this many elements, so that every parameter is aligned for any vector
/// load.
inline constexpr int64_t kAlignment = 256;

/// A matrix inside a parameter, as an optimiser of matrices sees it: one of several tensors that a
/// parameter stacks (q, k and v; the experts). Row r begins at element first + r * stride of the
/// parameter and has `columns` elements side by side.
struct MatrixPart {
  std::string name;  ///< of the tensor of the checkpoint that holds it
  int64_t first = 0, rows = 1, columns = 1, stride = 1;

  bool operator==(const MatrixPart&) const = default;
};

/// A parameter as a bucket sees it.
struct BucketEntry {
  std::string name;
  std::vector<int64_t> shape;
  bool decay = true;                      ///< belongs to the group with weight decay
  std::vector<MatrixPart> matrices = {};  ///< the tensors that make it up; empty: not known
};

struct BucketSegment {
  BucketEntry entry;
  int64_t offset = 0;  ///< elements
  int64_t length = 0;  ///< elements
  int64_t padded = 0;  ///< elements with the gap behind them
};

/// Elements [offset, offset + length) that share a weight decay.
struct BucketRange {
  int64_t offset = 0, length = 0;
  bool decay = true;
};

/// Parameters share a bucket if they agree in all of this.
struct BucketKey {
  std::string unit;
  at::ScalarType dtype = at::kFloat;  ///< of the weights that the forward reads
  bool trainable = true;  ///< a frozen bucket has no master, no gradient and no optimiser state
  std::string mesh = "dense";  ///< whose ranks share it

  auto operator<=>(const BucketKey&) const = default;
};

/// One rank of those that share a bucket, which is split evenly among them.
struct Shard {
  int64_t index = 0, count = 1;
};

struct BucketLayout {
  BucketKey key;
  at::ScalarType gradient_dtype = at::kFloat;
  /// fp32 masters where the weights are not fp32; false: the weights are all there is
  bool masters = true;
  Shard shard = {};
};

/// What forward and backward of a unit see.
struct Whole {
  at::Tensor weights;    ///< [size] of the key's dtype
  at::Tensor gradients;  ///< [size] of gradient_dtype, added to by backward; undefined if frozen
};

/// What one rank owns: elements [offset, offset + length) of the bucket.
struct Local {
  int64_t offset = 0, length = 0;
  at::Tensor weights;    ///< [length] of the key's dtype
  at::Tensor masters;    ///< [length] fp32; undefined where the weights are their own, or frozen
  at::Tensor gradients;  ///< [length]; undefined if frozen

  /// The weights as exact as they are held: what optimisers update, what averages follow and
  /// checkpoints store.
  const at::Tensor& exact() const { return masters.defined() ? masters : weights; }
};

class Bucket {
 public:
  /// Lays the entries out, decayed ones first, and allocates on `device`, all zero. The gaps that
  /// alignment leaves stay zero everywhere, so that flat arithmetic over a bucket is exact. The
  /// size is a multiple of kAlignment times the shards.
  Bucket(BucketLayout layout, std::vector<BucketEntry> entries, at::Device device);

  const BucketLayout& layout() const { return layout_; }
  const std::vector<BucketSegment>& segments() const { return segments_; }
  int64_t size() const { return size_; }

  /// With one shard the same memory as local(). With several its weights have no memory but while
  /// they are gathered: point_at.
  const Whole& whole() const { return whole_; }
  const Local& local() const { return local_; }
  /// The elements of local() by weight decay, in order: at most two ranges.
  const std::vector<BucketRange>& ranges() const { return ranges_; }

  /// The weight of segment i as an autograd leaf with its own version counter, whose .grad is its
  /// slot in whole().gradients. It lies in the Storage of whole().weights.
  at::Tensor leaf(size_t i) const;
  /// Views of segment i of whole(), in the shape of its parameter.
  at::Tensor weight(size_t i) const { return view(whole_.weights, i); }
  at::Tensor gradient(size_t i) const { return view(whole_.gradients, i); }
  at::Tensor view(const at::Tensor& flat, size_t i) const;
  /// What this rank holds of boxes or of a range of segment i, which may reach into the gap behind
  /// it: given in elements of the parameter, returned in elements of local(). A range of which it
  /// holds nothing comes back without length.
  std::vector<Region> local_regions(size_t i, std::span<const Region> regions) const;
  Range local_range(size_t i, Range range) const;

  /// Moves whole().weights, and with it every leaf and what autograd saved of them, into a buffer
  /// of the pool: [size or more] of their dtype and device. Its numbers are the caller's to bring.
  /// For buckets of several shards.
  void point_at(const at::Tensor& buffer);
  /// The buffer is free for others; nothing may read the leaves until the next point_at.
  void release();

  void zero_gradients();

 private:
  void allocate(at::Device device);

  BucketLayout layout_;
  std::vector<BucketSegment> segments_;
  std::vector<BucketRange> ranges_;
  int64_t size_ = 0;
  Whole whole_;
  Local local_;
  at::Tensor buffer_;  // of the pool, that whole_.weights lies in
};

}  // namespace lmms::parallel
