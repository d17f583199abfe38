#pragma once
/// How long a sample takes to train, by what is known of it before its media are decoded.
#include <cstdint>
#include <string>

#include "core/media_kinds.h"

namespace lmms::data {

/// The work of a sample as a polynomial of its sizes; step/cost_model.h takes it from a model.
/// With the numbers of a model a unit is 1,000 FLOPs of forward and backward, as MFU counts them:
///   token · n + pair · n² + target · supervised
///     + Σ over grids of each kind of media (patch · t h w + patch_pair · t (h w)²)
/// Without a model (the defaults) a unit is a query-key pair.
struct MediaCost {
  std::string kind{};
  double patch = 0;       ///< the tower's matrices, and its attention in windows
  double patch_pair = 1;  ///< its attention in whole frames

  bool operator==(const MediaCost&) const = default;
};

struct CostModel {
  double token = 0;              ///< the layers' matrices
  double pair = 1;               ///< attention of a token to itself and all others of its sample
  double target = 0;             ///< the head
  MediaList<MediaCost> media{};  ///< of the kinds that the model has a tower for
  MediaCost other_media{};       ///< of any other kind

  int64_t cost(int64_t tokens, int64_t supervised, const MediaList<MediaGrids>& grids) const;

  bool operator==(const CostModel&) const = default;
};

}  // namespace lmms::data
