#pragma once
/// Media of a micro-step, as a tower takes them.
#include <ATen/core/Tensor.h>

#include <string>
#include <vector>

#include "core/media_kinds.h"
#include "core/patch_grid.h"

namespace lmms::nn {

/// All media of one kind of a batch (images and videos: kVision) one after another, in the order of
/// their tokens; nothing is padded.
struct MediaInput {
  std::string kind;
  at::Tensor values;             ///< [P, values of a patch] float: `pixel_values`, say
  std::vector<PatchGrid> grids;  ///< on the host; together P patches
  /// One for each grid where the family needs it, else none; on the host.
  std::vector<ViewLayout> layouts;
  at::Tensor rows;  ///< [M] int64: the tokens that take the features, ascending

  /// Of a batch that has none of the kind, while another rank's batch does.
  bool empty() const { return grids.empty(); }
};

}  // namespace lmms::nn
