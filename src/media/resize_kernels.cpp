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

/// Stores a pixel and, where another follows in the row, a fourth byte that it will overwrite.
inline void store_pixel(uint8_t* to, int pixel, bool last) {
  if (last)
    std::memcpy(to, &pixel, 3);
  else
    std::memcpy(to, &pixel, 4);
}

/// Four taps an instruction: 16 bytes hold five pixels, of which a shuffle lays the first and
/// second in pairs of 16 bits into the lower half, the third and fourth into the upper, and a
/// multiply-add sums each pair. The halves are added at the end. Four rows share the weights and
/// the packing to bytes.
__attribute__((target("avx2"))) void across_4_rows_avx2(const AxisWeights& axis, const uint8_t* in,
                                                        int64_t in_step, uint8_t* out,
                                                        int64_t out_step) {
  const __m256i pairs =
      _mm256_setr_epi8(0, -1, 3, -1, 1, -1, 4, -1, 2, -1, 5, -1, -1, -1, -1, -1,  //
                       6, -1, 9, -1, 7, -1, 10, -1, 8, -1, 11, -1, -1, -1, -1, -1);
  const __m256i spread = _mm256_setr_epi32(0, 0, 0, 0, 1, 1, 1, 1);
  const int half = 1 << (axis.precision - 1);
  const __m256i start = _mm256_setr_epi32(half, half, half, half, 0, 0, 0, 0);
  const __m128i shift = _mm_cvtsi32_si128(axis.precision);
  const int width = int(axis.first.size());
  const int* const firsts = axis.first.data();
  const int* const counts = axis.count.data();
  const int64_t stride = axis.stride;
  const int16_t* weights = axis.weights.data();
  for (int x = 0; x < width; ++x, weights += stride, out += 3) {
    const uint8_t* from = in + 3 * int64_t{firsts[x]};
    __m256i a = start, b = start, c = start, d = start;
    const int count = counts[x];
    for (int k = 0; k < count; k += 4, from += 12) {
      const __m128i four = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(weights + k));
      const __m256i w = _mm256_permutevar8x32_epi32(_mm256_castsi128_si256(four), spread);
      const auto* row = reinterpret_cast<const __m128i*>(from);
      const auto* row_b = reinterpret_cast<const __m128i*>(from + in_step);
      const auto* row_c = reinterpret_cast<const __m128i*>(from + 2 * in_step);
      const auto* row_d = reinterpret_cast<const __m128i*>(from + 3 * in_step);
      const __m256i pixels_a =
          _mm256_shuffle_epi8(_mm256_broadcastsi128_si256(_mm_loadu_si128(row)), pairs);
      const __m256i pixels_b =
          _mm256_shuffle_epi8(_mm256_broadcastsi128_si256(_mm_loadu_si128(row_b)), pairs);
      const __m256i pixels_c =
          _mm256_shuffle_epi8(_mm256_broadcastsi128_si256(_mm_loadu_si128(row_c)), pairs);
      const __m256i pixels_d =
          _mm256_shuffle_epi8(_mm256_broadcastsi128_si256(_mm_loadu_si128(row_d)), pairs);
      a = _mm256_add_epi32(a, _mm256_madd_epi16(pixels_a, w));
      b = _mm256_add_epi32(b, _mm256_madd_epi16(pixels_b, w));
      c = _mm256_add_epi32(c, _mm256_madd_epi16(pixels_c, w));
      d = _mm256_add_epi32(d, _mm256_madd_epi16(pixels_d, w));
    }
    // Row a in the lower half, b in the upper; then c and d.
    __m256i ab = _mm256_add_epi32(_mm256_permute2x128_si256(a, b, 0x20),
                                  _mm256_permute2x128_si256(a, b, 0x31));
    __m256i cd = _mm256_add_epi32(_mm256_permute2x128_si256(c, d, 0x20),
                                  _mm256_permute2x128_si256(c, d, 0x31));
    ab = _mm256_sra_epi32(ab, shift);
    cd = _mm256_sra_epi32(cd, shift);
    const __m256i words = _mm256_packs_epi32(ab, cd);
    const __m256i bytes = _mm256_packus_epi16(words, words);
    const __m128i ac = _mm256_castsi256_si128(bytes), bd = _mm256_extracti128_si256(bytes, 1);
    const bool last = x + 1 == width;
    store_pixel(out, _mm_cvtsi128_si32(ac), last);
    store_pixel(out + out_step, _mm_cvtsi128_si32(bd), last);
    store_pixel(out + 2 * out_step, _mm_extract_epi32(ac, 1), last);
    store_pixel(out + 3 * out_step, _mm_extract_epi32(bd, 1), last);
  }
}

void across_avx2(const AxisWeights& axis, const uint8_t* in, int64_t in_step, uint8_t* out,
                 int64_t out_step, int rows) {
  if (rows == 4)
    across_4_rows_avx2(axis, in, in_step, out, out_step);
  else
    across_portable(axis, in, in_step, out, out_step, rows);
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
#pragma GCC unroll 4
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
