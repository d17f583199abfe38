#pragma once
/// How long a sample takes to train, by what is known of it before its media are decoded.
#include <cstdint>
#include <span>

#include "core/patch_grid.h"

namespace lmms::data {

/// The work of a sample as a polynomial of its sizes; train/cost_model.h takes it from a model.
/// With the numbers of a model a unit is 1,000 FLOPs of forward and backward, as MFU counts them:
///   token · n + pair · n² + target · supervised
///     + Σ over grids (patch · t h w + patch_pair · t (h w)²)
/// Without a model (the defaults) a unit is a query-key pair.
struct CostModel {
  double token = 0;       ///< the layers' matrices
  double pair = 1;        ///< attention of a token to itself and all others of its sample
  double target = 0;      ///< the head
  double patch = 0;       ///< the vision tower's matrices, and its attention in windows
  double patch_pair = 1;  ///< its attention in whole frames

  int64_t cost(int64_t tokens, int64_t supervised, std::span<const PatchGrid> grids) const;

  bool operator==(const CostModel&) const = default;
};

}  // namespace lmms::data
