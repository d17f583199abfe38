#pragma once
/// Rows of an image taken apart into channels, on their way to float32. For patches.cpp and
/// patch_writer.cpp.
#include <array>
#include <vector>

#include "media/patches.h"
#include "media/plane_kernels.h"

namespace lmms::media {

using Channels = std::array<Channel, 3>;

// The processors fuse the two steps: mean and std as float32 times (1 / rescale), then (x - mean) /
// std.
inline Channels channels_of(const Normalisation& n) {
  Channels channels;
  for (size_t c = 0; c < 3; ++c) {
    const float unit = float(1.0 / n.rescale);
    channels[c] = Channel(float(n.mean[c]) * unit, float(n.std[c]) * unit);
  }
  return channels;
}

/// A band of rows of an image, each channel by itself; small enough to stay in the cache.
class Band {
 public:
  Band(int rows, int width)
      : rows_(rows), step_(width + 16), bytes_(size_t(3) * rows * step_ + 16) {}
  int64_t step() const { return step_; }
  const uint8_t* at(int channel, int row, int x) const {
    return bytes_.data() + (int64_t{channel} * rows_ + row) * step_ + x;
  }
  void fill(const PlaneKernels& kernels, const Image& image, int first, int rows) {
    for (int row = 0; row < rows; ++row) {
      const auto to = [&](int channel) { return const_cast<uint8_t*>(at(channel, row, 0)); };
      kernels.split(image.row(first + row), image.width(), to(0), to(1), to(2));
    }
  }

 private:
  int rows_;
  int64_t step_;
  std::vector<uint8_t> bytes_;
};

}  // namespace lmms::media
