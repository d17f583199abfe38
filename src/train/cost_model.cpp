#include "train/cost_model.h"

#include <array>
#include <span>

#include "train/model_setup.h"

namespace lmms::train {
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
  const bool sees = model.image_token().has_value();
  const std::array small{PatchGrid{1, kSmall, kSmall}}, large{PatchGrid{1, kLarge, kLarge}};
  const auto flops = [&](std::span<const int64_t> lengths, int64_t supervised,
                         std::span<const PatchGrid> grids) {
    return model.train_flops({.lengths = lengths, .supervised = supervised, .grids = grids}) /
           kFlops;
  };
  // Beside an image, that a tower which trains has its gradient flow through the decoder.
  const std::span<const PatchGrid> beside = sees ? std::span(small) : std::span<const PatchGrid>();
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
  out.patch_pair = 0;
  if (!sees) return out;
  const Parabola patches(kSmall * kSmall, flops({}, 0, small), kLarge * kLarge,
                         flops({}, 0, large));
  out.patch = patches.linear;
  out.patch_pair = patches.square;
  return out;
}

data::CostModel cost_model_of(const LoadedConfig& loaded, const Place& place) {
  const ModelSource source = make_model(loaded, place);
  freeze_modules(source.model->params(), loaded);
  return cost_model_of(*source.model);
}

}  // namespace lmms::train
