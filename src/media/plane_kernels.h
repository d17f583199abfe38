#pragma once
/// Bytes of pixels -> float32 planes, for this machine. For patches.cpp and its tests.
#include <cstdint>

namespace lmms::media {

/// What a byte of one channel becomes: of[value] = (value - mean) / std in float32.
struct Channel {
  Channel() = default;
  Channel(float mean, float std);

  float mean = 0, std = 1, inverse = 1;
  /// A product with `inverse` and one correction gives the quotient to the last bit, for all 256
  /// values.
  bool by_inverse = false;
  float of[256] = {};
};

struct PlaneKernels {
  /// RGB pixels -> a row of each channel. Up to 64 bytes behind the last pixel are read, and up to
  /// 16 behind the end of each row written.
  void (*split)(const uint8_t* rgb, int64_t pixels, uint8_t* red, uint8_t* green, uint8_t* blue);
  /// A window of a plane, rows `in_step` apart -> [height][width].
  void (*emit)(const Channel& channel, const uint8_t* in, int64_t in_step, int height, int width,
               float* out);
  /// Copies past the cache: what is written is larger than it and is not read soon.
  void (*store)(float* out, const float* in, int64_t values);
  /// After the last store, before another thread reads.
  void (*settle)();
};

/// Plain C++, what the others are held to.
PlaneKernels portable_planes();
/// The best for this processor.
PlaneKernels best_planes();

}  // namespace lmms::media
