#include "data/cost.h"

#include <algorithm>
#include <cmath>

namespace lmms::data {

int64_t CostModel::cost(int64_t tokens, int64_t supervised,
                        const MediaList<MediaGrids>& grids) const {
  const auto n = static_cast<double>(tokens);
  double sum = token * n + pair * n * n + target * static_cast<double>(supervised);
  for (const MediaGrids& part : grids) {
    const MediaCost* known = media.find(part.kind);
    const MediaCost& of_kind = known ? *known : other_media;
    for (const PatchGrid& grid : part.grids) {
      const auto frame = static_cast<double>(grid.h * grid.w);
      sum += static_cast<double>(grid.t) *
             (of_kind.patch * frame + of_kind.patch_pair * frame * frame);
    }
  }
  constexpr double kMost = 1e15;  // thousands of rows of it add up in an int64
  return std::llround(std::clamp(sum, 0.0, kMost));
}

}  // namespace lmms::data
