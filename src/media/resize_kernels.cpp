#include "media/resize_kernels.h"

#include <immintrin.h>

#include <algorithm>
#include <cstring>

namespace lmms::media {
namespace {

uint8_t clipped(int32_t sum, int precision) {
  return uint8_t(std::clamp(sum >> precision, 0, 255));
}

void across_portable(const AxisWeights& axis, const uint8_t* in, int64_t in_step, uint8_t* out,
                     int64_t out_step, int rows) {
  for (int r = 0; r < rows; ++r, in += in_step, out += out_step) {
    uint8_t* to = out;
    for (size_t x = 0; x < axis.first.size(); ++x, to += 3) {
      const int16_t* weights = &axis.weights[x * axis.stride];
      const uint8_t* from = in + 3 * axis.first[x];
      int32_t sums[3];
      std::fill_n(sums, 3, 1 << (axis.precision - 1));
      for (int k = 0; k < axis.count[x]; ++k)
        for (int c = 0; c < 3; ++c) sums[c] += weights[k] * from[3 * k + c];
      for (int c = 0; c < 3; ++c) to[c] = clipped(sums[c], axis.precision);
    }
  }
}

void down_portable(const int16_t* weights, int count, int precision, const uint8_t* in,
                   int64_t in_step, uint8_t* out, int64_t bytes) {
  for (int64_t i = 0; i < bytes; ++i) {
    int32_t sum = 1 << (precision - 1);
    for (int k = 0; k < count; ++k) sum += weights[k] * in[k * in_step + i];
    out[i] = clipped(sum, precision);
  }
}

/// Four taps an instruction: 16 bytes hold five pixels, of which a shuffle lays the first and
/// second in pairs of 16 bits into the lower half, the third and fourth into the upper, and a
/// multiply-add sums each pair. The halves are added at the end. Four rows share the weights.
template <int kRows>
__attribute__((target("avx2"))) void across_rows_avx2(const AxisWeights& axis, const uint8_t* in,
                                                      int64_t in_step, uint8_t* out,
                                                      int64_t out_step) {
  const __m256i pairs =
      _mm256_setr_epi8(0, -1, 3, -1, 1, -1, 4, -1, 2, -1, 5, -1, -1, -1, -1, -1,  //
                       6, -1, 9, -1, 7, -1, 10, -1, 8, -1, 11, -1, -1, -1, -1, -1);
  const __m256i spread = _mm256_setr_epi32(0, 0, 0, 0, 1, 1, 1, 1);
  const int half = 1 << (axis.precision - 1);
  const __m256i start = _mm256_setr_epi32(half, half, half, half, 0, 0, 0, 0);
  const __m128i shift = _mm_cvtsi32_si128(axis.precision);
  const size_t width = axis.first.size();
  for (size_t x = 0; x < width; ++x) {
    const int16_t* weights = &axis.weights[x * axis.stride];
    const uint8_t* from = in + 3 * axis.first[x];
    __m256i sums[kRows];
    for (int r = 0; r < kRows; ++r) sums[r] = start;
    for (int k = 0; k < axis.count[x]; k += 4, from += 12) {
      const __m128i four = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(weights + k));
      const __m256i w = _mm256_permutevar8x32_epi32(_mm256_castsi128_si256(four), spread);
      for (int r = 0; r < kRows; ++r) {
        const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(from + r * in_step));
        const __m256i pixels = _mm256_shuffle_epi8(_mm256_broadcastsi128_si256(bytes), pairs);
        sums[r] = _mm256_add_epi32(sums[r], _mm256_madd_epi16(pixels, w));
      }
    }
    for (int r = 0; r < kRows; ++r) {
      __m128i sum =
          _mm_add_epi32(_mm256_castsi256_si128(sums[r]), _mm256_extracti128_si256(sums[r], 1));
      sum = _mm_sra_epi32(sum, shift);
      sum = _mm_packs_epi32(sum, sum);
      const int pixel = _mm_cvtsi128_si32(_mm_packus_epi16(sum, sum));
      // The fourth byte is overwritten by the next pixel; behind the last one there may be another
      // row.
      std::memcpy(out + r * out_step + 3 * x, &pixel, x + 1 < width ? 4 : 3);
    }
  }
}

void across_avx2(const AxisWeights& axis, const uint8_t* in, int64_t in_step, uint8_t* out,
                 int64_t out_step, int rows) {
  if (rows == 4)
    across_rows_avx2<4>(axis, in, in_step, out, out_step);
  else
    for (int r = 0; r < rows; ++r)
      across_rows_avx2<1>(axis, in + r * in_step, in_step, out + r * out_step, out_step);
}

/// 32 columns at a time, two rows an instruction: bytes of the two are interleaved, widened,
/// multiplied and added in pairs.
__attribute__((target("avx2"))) void down_avx2(const int16_t* weights, int count, int precision,
                                               const uint8_t* in, int64_t in_step, uint8_t* out,
                                               int64_t bytes) {
  const __m256i zero = _mm256_setzero_si256();
  const __m256i start = _mm256_set1_epi32(1 << (precision - 1));
  const __m128i shift = _mm_cvtsi32_si128(precision);
  int64_t i = 0;
  for (; i + 32 <= bytes; i += 32) {
    __m256i sums[4] = {start, start, start, start};
    for (int k = 0; k < count; k += 2) {
      const uint8_t* from = in + k * in_step + i;
      const bool pair = k + 1 < count;
      const __m256i a = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from));
      const __m256i b =
          pair ? _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from + in_step)) : zero;
      const uint32_t both =
          uint32_t(uint16_t(weights[k])) | (pair ? uint32_t(uint16_t(weights[k + 1])) << 16 : 0);
      const __m256i w = _mm256_set1_epi32(int(both));
      const __m256i low = _mm256_unpacklo_epi8(a, b), high = _mm256_unpackhi_epi8(a, b);
      sums[0] = _mm256_add_epi32(sums[0], _mm256_madd_epi16(_mm256_unpacklo_epi8(low, zero), w));
      sums[1] = _mm256_add_epi32(sums[1], _mm256_madd_epi16(_mm256_unpackhi_epi8(low, zero), w));
      sums[2] = _mm256_add_epi32(sums[2], _mm256_madd_epi16(_mm256_unpacklo_epi8(high, zero), w));
      sums[3] = _mm256_add_epi32(sums[3], _mm256_madd_epi16(_mm256_unpackhi_epi8(high, zero), w));
    }
    for (__m256i& sum : sums) sum = _mm256_sra_epi32(sum, shift);
    const __m256i low = _mm256_packs_epi32(sums[0], sums[1]),
                  high = _mm256_packs_epi32(sums[2], sums[3]);
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(out + i), _mm256_packus_epi16(low, high));
  }
  if (i < bytes) down_portable(weights, count, precision, in + i, in_step, out + i, bytes - i);
}

}  // namespace

RowKernels portable_rows() {
  return {across_portable, down_portable};
}

RowKernels best_rows() {
  static const bool has_avx2 = __builtin_cpu_supports("avx2");
  return has_avx2 ? RowKernels{across_avx2, down_avx2} : portable_rows();
}

}  // namespace lmms::media
