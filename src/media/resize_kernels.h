#pragma once
/// The two passes of a resize, for this machine. For resize.cpp and its tests.
#include <cstdint>
#include <vector>

namespace lmms::media {

/// What each output position of one axis takes: input positions first[i] ... first[i] + count[i] -
/// 1 with the weights at weights[i * stride], fixed-point with `precision` bits. Weights are
/// followed by zeros up to `stride`, a multiple of kGroup.
struct AxisWeights {
  static constexpr int kGroup = 4;
  int stride = 0;
  int precision = 0;
  std::vector<int> first, count;
  std::vector<int16_t> weights;
};

struct RowKernels {
  /// `rows` (1 or 4) rows of RGB, each `in_step` bytes after the one before, to rows of
  /// first.size() pixels. Up to 16 bytes behind the last pixel that is used are read.
  void (*across)(const AxisWeights& axis, const uint8_t* in, int64_t in_step, uint8_t* out,
                 int64_t out_step, int rows);
  /// One row: the weighted sum of `count` rows of `bytes` bytes, `in_step` apart.
  void (*down)(const int16_t* weights, int count, int precision, const uint8_t* in, int64_t in_step,
               uint8_t* out, int64_t bytes);
};

/// Plain C++, what the others are held to.
RowKernels portable_rows();
/// The best for this processor.
RowKernels best_rows();

}  // namespace lmms::media
