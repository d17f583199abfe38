#include "step/cost_model.h"

#include <array>
#include <span>
#include <string>
#include <vector>

namespace lmms::step {
namespace {

constexpr double kFlops = 1000;  // of a unit of cost

/// a, b of a · x + b · x² through two points.
struct Parabola {
  double linear = 0, square = 0;
  Parabola(double x1, double y1, double x2, double y2) {
    square = (y2 / x2 - y1 / x1) / (x2 - x1);
    linear = y1 / x1 - square * x1;
  }
};

}  // namespace

data::CostModel cost_model_of(const models::Model& model) {
  // Sizes of real rows and images. A frame of 64 x 64 patches is cut evenly by every window.
  constexpr int64_t kShort = 1024, kLong = 4096, kSmall = 32, kLarge = 64;
  const std::vector<PatchGrid> small{{1, kSmall, kSmall}}, large{{1, kLarge, kLarge}};
  const auto flops = [&](std::span<const int64_t> lengths, int64_t supervised,
                         const MediaList<MediaGrids>& media) {
    return model.train_flops({.lengths = lengths, .supervised = supervised, .media = media}) /
           kFlops;
  };
  // Beside media, that a tower which trains has its gradient flow through the decoder.
  MediaList<MediaGrids> beside;
  for (const std::string& kind : model.media_kinds()) beside[kind].grids = small;
  const double alone = flops({}, 0, beside);
  const auto text = [&](int64_t n) {
    const std::array lengths{n};
    return flops(lengths, 0, beside) - alone;
  };
  data::CostModel out;
  const Parabola tokens(kShort, text(kShort), kLong, text(kLong));
  out.token = tokens.linear;
  out.pair = tokens.square;
  out.target = (flops({}, kShort, beside) - alone) / kShort;
  out.other_media = {.kind = "", .patch = 0, .patch_pair = 0};
  for (const std::string& kind : model.media_kinds()) {
    const Parabola patches(kSmall * kSmall, flops({}, 0, {{kind, small}}), kLarge * kLarge,
                           flops({}, 0, {{kind, large}}));
    out.media[kind] = {.kind = kind, .patch = patches.linear, .patch_pair = patches.square};
  }
  return out;
}

}  // namespace lmms::step
