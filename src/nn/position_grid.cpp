#include "nn/position_grid.h"

#include <c10/util/Exception.h>

#include <cmath>

namespace lmms::nn {

void fill_position_grid(std::span<float> out, int64_t width) {
  const auto places = static_cast<int64_t>(out.size()) / width;
  const auto side = static_cast<int64_t>(std::llround(std::sqrt(static_cast<double>(places))));
  TORCH_INTERNAL_ASSERT(width % 4 == 0 && side * side * width == static_cast<int64_t>(out.size()),
                        out.size(), " numbers for places of ", width);
  const int64_t quarter = width / 4;
  float* place = out.data();
  for (int64_t n = 0; n < places; ++n, place += width) {
    for (int64_t i = 0; i < quarter; ++i) {
      const double frequency =
          1 / std::pow(10000.0, static_cast<double>(i) / static_cast<double>(quarter));
      const auto column = static_cast<double>(n % side), row = static_cast<double>(n / side);
      place[i] = static_cast<float>(std::sin(column * frequency));
      place[quarter + i] = static_cast<float>(std::cos(column * frequency));
      place[2 * quarter + i] = static_cast<float>(std::sin(row * frequency));
      place[3 * quarter + i] = static_cast<float>(std::cos(row * frequency));
    }
  }
}

}  // namespace lmms::nn
