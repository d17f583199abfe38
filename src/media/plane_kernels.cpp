#include "media/plane_kernels.h"

#include <immintrin.h>

#include <cmath>
#include <cstring>

namespace lmms::media {
namespace {

void split_portable(const uint8_t* rgb, int64_t pixels, uint8_t* red, uint8_t* green,
                    uint8_t* blue) {
  for (int64_t x = 0; x < pixels; ++x, rgb += 3) {
    red[x] = rgb[0];
    green[x] = rgb[1];
    blue[x] = rgb[2];
  }
}

void emit_portable(const Channel& channel, const uint8_t* in, int64_t in_step, int height,
                   int width, float* out) {
  for (int y = 0; y < height; ++y, in += in_step, out += width)
    for (int x = 0; x < width; ++x) out[x] = channel.of[in[x]];
}

/// 16 pixels of 48 bytes at a time: of each 16 bytes a shuffle takes those of one channel to their
/// places.
__attribute__((target("avx2"))) void split_avx2(const uint8_t* rgb, int64_t pixels, uint8_t* red,
                                                uint8_t* green, uint8_t* blue) {
  alignas(16) int8_t places[3][3][16];  // [channel][which 16 bytes][pixel]
  for (int c = 0; c < 3; ++c)
    for (int part = 0; part < 3; ++part)
      for (int x = 0; x < 16; ++x) {
        const int at = 3 * x + c - 16 * part;
        places[c][part][x] = int8_t(at >= 0 && at < 16 ? at : -1);
      }
  uint8_t* const to[3] = {red, green, blue};
  for (int64_t x = 0; x < pixels; x += 16, rgb += 48) {
    const auto* from = reinterpret_cast<const __m128i*>(rgb);
    const __m128i a = _mm_loadu_si128(from), b = _mm_loadu_si128(from + 1),
                  d = _mm_loadu_si128(from + 2);
#pragma GCC unroll 3
    for (int c = 0; c < 3; ++c) {
      const auto* place = reinterpret_cast<const __m128i*>(places[c]);
      const __m128i bytes =
          _mm_or_si128(_mm_or_si128(_mm_shuffle_epi8(a, place[0]), _mm_shuffle_epi8(b, place[1])),
                       _mm_shuffle_epi8(d, place[2]));
      _mm_storeu_si128(reinterpret_cast<__m128i*>(to[c] + x), bytes);
    }
  }
}

/// Eight pixels at a time; the last eight of a row overlap those before. Division is slow, so where
/// the channel allows it the quotient comes from the inverse: q = d * inverse, then q + (d - q *
/// std) * inverse with single roundings.
__attribute__((target("avx2,fma"))) void emit_avx2(const Channel& channel, const uint8_t* in,
                                                   int64_t in_step, int height, int width,
                                                   float* out) {
  if (width < 8 || !channel.by_inverse)
    return emit_portable(channel, in, in_step, height, width, out);
  const __m256 mean = _mm256_set1_ps(channel.mean), std = _mm256_set1_ps(channel.std);
  const __m256 inverse = _mm256_set1_ps(channel.inverse);
  for (int y = 0; y < height; ++y, in += in_step, out += width) {
    for (int next = 0; next < width; next += 8) {
      const int x = next + 8 <= width ? next : width - 8;
      const __m128i bytes = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(in + x));
      const __m256 d = _mm256_sub_ps(_mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(bytes)), mean);
      const __m256 q = _mm256_mul_ps(d, inverse);
      const __m256 rest = _mm256_fnmadd_ps(q, std, d);
      _mm256_storeu_ps(out + x, _mm256_fmadd_ps(rest, inverse, q));
    }
  }
}

void store_portable(float* out, const float* in, int64_t values) {
  std::memcpy(out, in, size_t(values) * sizeof(float));
}

/// Without reading the lines that are overwritten whole: half of the traffic.
__attribute__((target("avx2"))) void store_avx2(float* out, const float* in, int64_t values) {
  if (reinterpret_cast<uintptr_t>(out) % 16) return store_portable(out, in, values);
  int64_t i = 0;
  if (reinterpret_cast<uintptr_t>(out) % 32 && values >= 4) {
    _mm_stream_ps(out, _mm_loadu_ps(in));
    i = 4;
  }
  for (; i + 8 <= values; i += 8) _mm256_stream_ps(out + i, _mm256_loadu_ps(in + i));
  for (; i + 4 <= values; i += 4) _mm_stream_ps(out + i, _mm_loadu_ps(in + i));
  for (; i < values; ++i) out[i] = in[i];
}

void settle_portable() {}
void settle_avx2() {
  _mm_sfence();
}

}  // namespace

Channel::Channel(float mean_of, float std_of)
    : mean(mean_of), std(std_of), inverse(1 / std_of), by_inverse(true) {
  for (int v = 0; v < 256; ++v) {
    const float d = float(v) - mean_of;
    of[v] = d / std_of;
    const float q = d * inverse;
    by_inverse = by_inverse && fmaf(fmaf(-q, std_of, d), inverse, q) == of[v];
  }
}

PlaneKernels portable_planes() {
  return {split_portable, emit_portable, store_portable, settle_portable};
}

PlaneKernels best_planes() {
  static const bool has_avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  return has_avx2 ? PlaneKernels{split_avx2, emit_avx2, store_avx2, settle_avx2}
                  : portable_planes();
}

}  // namespace lmms::media
