// The end of a backward kernel whose block has summed its share of the rows.
#pragma once

namespace lmms::kernels {

/// partial[d] = sum over `rows` rows of shared[row * stride + d], d < columns, in their order, by
/// the `threads` threads of a block, of which this is number `thread`. The caller synchronises the
/// block between writing `shared` and this, and before it writes there again.
__device__ inline void write_partial_row(float* partial, const float* shared, int rows, int stride,
                                         int columns, int thread, int threads) {
  for (int d = thread; d < columns; d += threads) {
    float sum = 0;
    for (int row = 0; row < rows; ++row) sum += shared[row * stride + d];
    partial[d] = sum;
  }
}

}  // namespace lmms::kernels
