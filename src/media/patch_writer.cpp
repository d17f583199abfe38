#include "media/patch_writer.h"

#include <vector>

#include "media/plane_band.h"

namespace lmms::media {
namespace {

/// Calls fill(first row) for each row of blocks, then emit(channel, row, column, values) for each
/// channel of each patch, and stores the values.
template <class Fill, class Emit>
void for_patches(const PatchGrid& grid, const PatchOptions& options, Slots slots, float* to,
                 const Fill& fill, const Emit& emit) {
  const PlaneKernels kernels = best_planes();
  const int side = options.patch, merge = options.merge;
  const int rows = int(grid.h), columns = int(grid.w);
  const int64_t plane = int64_t{side} * side;
  std::vector<float> values(static_cast<size_t>(plane));  // it stays in the nearest cache
  to += slots.first * plane;
  for (int block_y = 0; block_y < rows; block_y += merge) {
    fill(block_y * side);
    for (int block_x = 0; block_x < columns; block_x += merge)
      for (int patch = 0; patch < merge * merge; ++patch)
        for (int c = 0; c < 3; ++c, to += options.temporal * plane) {
          emit(c, (block_y + patch / merge) * side, (block_x + patch % merge) * side,
               values.data());
          for (int64_t copy = 0; copy < slots.count; ++copy)
            kernels.store(to + copy * plane, values.data(), plane);
        }
  }
  kernels.settle();
}

}  // namespace

void write_slots(const Image& frame, const PatchGrid& grid, const PatchOptions& options,
                 Slots slots, float* out) {
  const PlaneKernels kernels = best_planes();
  const Channels channels = channels_of(options.normalisation);
  const int side = options.patch, band_rows = options.merge * side;
  Band band(band_rows, frame.width());
  int first = 0;
  for_patches(
      grid, options, slots, out,
      [&](int row) {
        first = row;
        band.fill(kernels, frame, row, band_rows);
      },
      [&](int c, int row, int column, float* values) {
        kernels.emit(channels[size_t(c)], band.at(c, row - first, column), band.step(), side, side,
                     values);
      });
}

void write_slots(std::span<const float> frame, const PatchGrid& grid, const PatchOptions& options,
                 Slots slots, float* out) {
  const Channels channels = channels_of(options.normalisation);
  const int side = options.patch;
  const int64_t width = grid.w * side;
  for_patches(
      grid, options, slots, out, [](int) {},
      [&](int c, int row, int column, float* values) {
        const Channel& channel = channels[size_t(c)];
        for (int64_t y = row; y < row + side; ++y)
          for (int64_t x = column; x < column + side; ++x)
            *values++ = (frame[size_t((y * width + x) * 3 + c)] - channel.mean) / channel.std;
      });
}

}  // namespace lmms::media
