#pragma once
/// From a table of Params to buckets: who gets which memory.
#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "nn/param.h"
#include "parallel/bucket.h"

namespace lmms::nn {

struct MemoryOptions {
  at::Device device = at::kCPU;
  at::ScalarType dtype = at::kFloat;  ///< of the weights that the forward reads
  at::ScalarType gradient_dtype = at::kFloat;
  bool masters = true;  ///< fp32 masters of trained weights that are not fp32
  parallel::Shard shard = {};
};

/// Where a Param lives.
struct Placement {
  size_t bucket = 0, segment = 0;
};

/// The buckets of a model, one for each BucketKey, and where each Param of its table lives.
struct ModelMemory {
  std::vector<parallel::Bucket> buckets;
  std::vector<Placement> placements;  ///< parallel to ParamTable::all()
};

/// Lays out and allocates the buckets, and gives every Param its leaf.
ModelMemory allocate(ParamTable& params, const MemoryOptions& options);

/// What this rank holds of one tensor of the checkpoint.
struct LocalPart {
  const Part* part = nullptr;
  size_t param = 0, bucket = 0;
  /// Boxes of the tensor; their places inside are counted in local() of the bucket. Empty: other
  /// ranks hold it.
  std::vector<parallel::Region> regions;

  int64_t elements() const;
  /// The tensor in `flat`, of the bucket's local(); a view where it is in one piece. This rank must
  /// hold the whole of it.
  at::Tensor read(const at::Tensor& flat) const;
};

/// Of every part of every Param, in their order.
std::vector<LocalPart> local_parts(const ParamTable& params, const ModelMemory& memory);

/// Fills every weight (masters too) by its Init law with Philox, keyed by the hub name of each
/// part: the same numbers on every device, for any order and any sharding.
void initialise(const ParamTable& params, ModelMemory& memory, uint64_t seed);

}  // namespace lmms::nn
