#pragma once
/// Images and videos of a micro-step, as a vision tower takes them.
#include <ATen/core/Tensor.h>

#include <vector>

#include "core/patch_grid.h"

namespace lmms::nn {

/// All images and videos of a batch one after another, in the order of their tokens; nothing is
/// padded.
struct VisionInput {
  at::Tensor patches;  ///< [P, C * tp * ps * ps] float: `pixel_values`, in merge-block order
  std::vector<PatchGrid> grids;  ///< on the host; together P patches
  /// One for each grid where the family needs it, else none; on the host.
  std::vector<ViewLayout> layouts;
  at::Tensor rows;  ///< [M] int64: the tokens that take the features, ascending

  bool empty() const { return grids.empty(); }
};

}  // namespace lmms::nn
