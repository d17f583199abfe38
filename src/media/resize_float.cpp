#include "media/resize_float.h"

#include <immintrin.h>

#include <algorithm>
#include <cmath>
#include <cstring>

namespace lmms::media {
namespace {

/// What each output position of one axis takes: input positions first[i] ... first[i] + count[i]
/// - 1.
struct FloatAxis {
  int stride = 0;
  std::vector<int> first, count;
  std::vector<float> weights;
};

// torch's cubic_convolution1 and 2 with A = -0.5, contracted to fused multiply-adds as its build
// is.
float cubic(float x) {
  constexpr float a = -0.5f;
  x = std::abs(x);
  if (x < 1.0f) return std::fmaf(std::fmaf(a + 2, x, -(a + 3)) * x, x, 1.0f);
  if (x < 2.0f) return std::fmaf(std::fmaf(std::fmaf(a, x, -5 * a), x, 8 * a), x, -4 * a);
  return 0.0f;
}

/// torch's _compute_index_ranges_weights<float> (aten/src/ATen/native/cpu/UpSampleKernel.cpp) with
/// antialias: what is float32 there is float32 here.
FloatAxis axis_weights(int in, int out) {
  const float scale = float(in) / float(out);
  const float support = scale >= 1.0f ? float(2.0 * scale) : 2.0f;
  const float inverse = scale >= 1.0f ? float(1.0 / scale) : 1.0f;
  FloatAxis axis;
  axis.stride = int(std::ceil(support)) * 2 + 1;
  axis.first.resize(size_t(out));
  axis.count.resize(size_t(out));
  axis.weights.assign(size_t(out) * size_t(axis.stride), 0.0f);
  for (int i = 0; i < out; ++i) {
    const auto center = float(double(scale) * (i + 0.5));
    const int first = std::max(int(double(center - support) + 0.5), 0);
    const int count =
        std::clamp(std::min(int(double(center + support) + 0.5), in) - first, 0, axis.stride);
    float* w = &axis.weights[size_t(i) * size_t(axis.stride)];
    float total = 0;
    for (int k = 0; k < count; ++k) {
      w[k] = cubic(float((double(float(k + first) - center) + 0.5) * double(inverse)));
      total += w[k];
    }
    for (int k = 0; k < count && total != 0; ++k) w[k] /= total;
    axis.first[size_t(i)] = first;
    axis.count[size_t(i)] = count;
  }
  return axis;
}

/// How many taps of a sum are rounded before they are added, counted from the first; each of the
/// others is one fused multiply-add. So does the loop of torch: its compiler took four taps at a
/// time, in order.
inline int rounded_taps(int count) {
  return 1 + (count - 1) / 4 * 4;
}

/// The sum of `count` taps, `step` values apart.
template <class T>
float weighted(const float* weights, int count, const T* in, int64_t step) {
  float sum = float(in[0]) * weights[0];
  int k = 1;
  for (const int plain = rounded_taps(count); k < plain; ++k)
    sum += float(in[k * step]) * weights[k];
  for (; k < count; ++k) sum = std::fmaf(float(in[k * step]), weights[k], sum);
  return sum;
}

struct FloatKernels {
  /// Four rows of RGB, each `step` bytes after the one before, to rows of first.size() pixels. Up
  /// to 16 bytes behind the last pixel of a row are read, and up to four behind the end of each row
  /// written.
  void (*across)(const FloatAxis& axis, const uint8_t* in, int64_t step, int width, float* out,
                 int64_t out_step);
  /// Bytes to numbers.
  void (*widen)(const uint8_t* in, int64_t count, float* out);
  /// The weighted sum of `count` rows.
  void (*down)(const float* weights, int count, const float* in, int64_t step, int64_t values,
               float* out);
  void (*round)(const float* in, int64_t count, uint8_t* out);
};

constexpr int kRows = 4;

void across_portable(const FloatAxis& axis, const uint8_t* in, int64_t step, int, float* out,
                     int64_t out_step) {
  for (int r = 0; r < kRows; ++r, in += step, out += out_step)
    for (size_t x = 0; x < axis.first.size(); ++x) {
      const float* w = &axis.weights[x * size_t(axis.stride)];
      const uint8_t* from = in + 3 * axis.first[x];
      for (int c = 0; c < 3; ++c) out[3 * x + size_t(c)] = weighted(w, axis.count[x], from + c, 3);
    }
}

void widen_portable(const uint8_t* in, int64_t count, float* out) {
  for (int64_t i = 0; i < count; ++i) out[i] = float(in[i]);
}

void down_portable(const float* weights, int count, const float* in, int64_t step, int64_t values,
                   float* out) {
  for (int64_t i = 0; i < values; ++i) out[i] = weighted(weights, count, in + i, step);
}

void round_portable(const float* in, int64_t count, uint8_t* out) {
  for (int64_t i = 0; i < count; ++i)
    out[i] = uint8_t(std::nearbyintf(std::clamp(in[i], 0.0f, 255.0f)));
}

/// The product, rounded: without this the compiler may fuse it with the addition that follows.
__attribute__((target("avx2"), always_inline)) inline __m256 product(__m256 a, __m256 b) {
  __m256 ab = _mm256_mul_ps(a, b);
  asm("" : "+x"(ab));
  return ab;
}

/// A pixel of each of two rows, and a byte behind it, as numbers.
__attribute__((target("avx2"), always_inline)) inline __m256 two_pixels(const uint8_t* lower,
                                                                        const uint8_t* upper) {
  uint32_t low, high;
  std::memcpy(&low, lower, 4);
  std::memcpy(&high, upper, 4);
  const __m128i both = _mm_set_epi64x(0, int64_t(uint64_t{high} << 32 | low));
  return _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(both));
}

/// The four rows become pixels of 16 numbers first, row beside row, so that one tap of all of them
/// is two loads and two multiply-adds.
__attribute__((target("avx2,fma"))) void across_avx2(const FloatAxis& axis, const uint8_t* in,
                                                     int64_t step, int width, float* out,
                                                     int64_t out_step) {
  thread_local std::vector<float> pixels;
  pixels.resize(size_t(width) * 16 + 16);
  float* to = pixels.data();
  const uint8_t *a = in, *b = in + step, *c = in + 2 * step, *d = in + 3 * step;
  for (int x = 0; x < width; ++x, a += 3, b += 3, c += 3, d += 3, to += 16) {
    _mm256_storeu_ps(to, two_pixels(a, b));
    _mm256_storeu_ps(to + 8, two_pixels(c, d));
  }
  const float* weights = axis.weights.data();
  const size_t count_of_x = axis.first.size();
  for (size_t x = 0; x < count_of_x; ++x, weights += axis.stride, out += 3) {
    const float* from = pixels.data() + 16 * int64_t{axis.first[x]};
    const __m256 w = _mm256_broadcast_ss(weights);
    __m256 ab = _mm256_mul_ps(_mm256_loadu_ps(from), w);
    __m256 cd = _mm256_mul_ps(_mm256_loadu_ps(from + 8), w);
    const int count = axis.count[x], plain = rounded_taps(count);
    int k = 1;
    for (; k < plain; ++k) {
      from += 16;
      const __m256 v = _mm256_broadcast_ss(weights + k);
      ab = _mm256_add_ps(ab, product(_mm256_loadu_ps(from), v));
      cd = _mm256_add_ps(cd, product(_mm256_loadu_ps(from + 8), v));
    }
    for (; k < count; ++k) {
      from += 16;
      const __m256 v = _mm256_broadcast_ss(weights + k);
      ab = _mm256_fmadd_ps(_mm256_loadu_ps(from), v, ab);
      cd = _mm256_fmadd_ps(_mm256_loadu_ps(from + 8), v, cd);
    }
    // The fourth number is overwritten by the next pixel.
    _mm_storeu_ps(out, _mm256_castps256_ps128(ab));
    _mm_storeu_ps(out + out_step, _mm256_extractf128_ps(ab, 1));
    _mm_storeu_ps(out + 2 * out_step, _mm256_castps256_ps128(cd));
    _mm_storeu_ps(out + 3 * out_step, _mm256_extractf128_ps(cd, 1));
  }
}

__attribute__((target("avx2"))) void widen_avx2(const uint8_t* in, int64_t count, float* out) {
  int64_t i = 0;
  for (; i + 8 <= count; i += 8) {
    const __m128i bytes = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(in + i));
    _mm256_storeu_ps(out + i, _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(bytes)));
  }
  widen_portable(in + i, count - i, out + i);
}

__attribute__((target("avx2,fma"))) void down_avx2(const float* weights, int count, const float* in,
                                                   int64_t step, int64_t values, float* out) {
  const int plain = rounded_taps(count);
  int64_t i = 0;
  for (; i + 32 <= values; i += 32) {
    const float* from = in + i;
    __m256 w = _mm256_broadcast_ss(weights);
    __m256 sums[4];
#pragma GCC unroll 4
    for (int n = 0; n < 4; ++n) sums[n] = _mm256_mul_ps(_mm256_loadu_ps(from + 8 * n), w);
    int k = 1;
    for (; k < plain; ++k) {
      from += step;
      w = _mm256_broadcast_ss(weights + k);
#pragma GCC unroll 4
      for (int n = 0; n < 4; ++n)
        sums[n] = _mm256_add_ps(sums[n], product(_mm256_loadu_ps(from + 8 * n), w));
    }
    for (; k < count; ++k) {
      from += step;
      w = _mm256_broadcast_ss(weights + k);
#pragma GCC unroll 4
      for (int n = 0; n < 4; ++n)
        sums[n] = _mm256_fmadd_ps(_mm256_loadu_ps(from + 8 * n), w, sums[n]);
    }
#pragma GCC unroll 4
    for (int n = 0; n < 4; ++n) _mm256_storeu_ps(out + i + 8 * n, sums[n]);
  }
  for (; i + 8 <= values; i += 8) {
    __m256 sum = _mm256_mul_ps(_mm256_loadu_ps(in + i), _mm256_broadcast_ss(weights));
    int k = 1;
    for (; k < plain; ++k)
      sum = _mm256_add_ps(
          sum, product(_mm256_loadu_ps(in + k * step + i), _mm256_broadcast_ss(weights + k)));
    for (; k < count; ++k)
      sum = _mm256_fmadd_ps(_mm256_loadu_ps(in + k * step + i), _mm256_broadcast_ss(weights + k),
                            sum);
    _mm256_storeu_ps(out + i, sum);
  }
  if (i < values) down_portable(weights, count, in + i, step, values - i, out + i);
}

__attribute__((target("avx2"), always_inline)) inline __m256i eight_whole(const float* from) {
  const __m256 zero = _mm256_setzero_ps(), most = _mm256_set1_ps(255.0f);
  return _mm256_cvtps_epi32(_mm256_min_ps(_mm256_max_ps(_mm256_loadu_ps(from), zero), most));
}

__attribute__((target("avx2"))) void round_avx2(const float* in, int64_t count, uint8_t* out) {
  const __m256i places = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);
  int64_t i = 0;
  for (; i + 32 <= count; i += 32) {
    const __m256i ab = _mm256_packs_epi32(eight_whole(in + i), eight_whole(in + i + 8));
    const __m256i cd = _mm256_packs_epi32(eight_whole(in + i + 16), eight_whole(in + i + 24));
    const __m256i bytes = _mm256_permutevar8x32_epi32(_mm256_packus_epi16(ab, cd), places);
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(out + i), bytes);
  }
  round_portable(in + i, count - i, out + i);
}

FloatKernels best_kernels() {
  static const bool has_avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  return has_avx2 ? FloatKernels{across_avx2, widen_avx2, down_avx2, round_avx2}
                  : FloatKernels{across_portable, widen_portable, down_portable, round_portable};
}

/// Calls emit(y, row) for each row of the resized image, from top to bottom; a row holds width * 3
/// numbers.
template <class Emit>
void resize_rows(const Image& image, int width, int height, const FloatKernels& kernels,
                 Emit emit) {
  const int64_t in_step = int64_t{image.width()} * 3, values = int64_t{width} * 3;
  const int64_t step = values + 4;  // `across` writes past the end of a row
  const bool across = width != image.width(), down = height != image.height();
  const FloatAxis x_axis = across ? axis_weights(image.width(), width) : FloatAxis{};
  FloatAxis y_axis;
  if (down) {
    y_axis = axis_weights(image.height(), height);
  } else {
    y_axis.stride = 1;
    y_axis.count.assign(size_t(height), 1);
    y_axis.weights.assign(size_t(height), 1.0f);
    for (int y = 0; y < height; ++y) y_axis.first.push_back(y);
  }
  // A window of rows of the right width, made shortly before they are summed. Row `start` of the
  // image stands at its top, rows up to `made` are in it.
  const int most = *std::max_element(y_axis.count.begin(), y_axis.count.end());
  const int window_rows = most + 32;
  std::vector<float> window(size_t(window_rows + kRows) * size_t(step));
  std::vector<float> row(static_cast<size_t>(values));
  std::vector<uint8_t> last(across ? size_t(in_step) * kRows + Image::kSlack : 0);
  const auto at = [&](int y, int start) { return window.data() + int64_t{y - start} * step; };
  int start = 0, made = 0;
  for (int y = 0; y < height; ++y) {
    const int first = y_axis.first[size_t(y)], count = y_axis.count[size_t(y)];
    if (made < first + count) {
      made = std::max(made, first);  // rows that nothing asks for are never made
      if (first + count + kRows - start > window_rows) {
        if (made > first)
          std::memmove(window.data(), at(first, start),
                       size_t(made - first) * size_t(step) * sizeof(float));
        start = first;
      }
      while (made < first + count) {
        const int rows = std::min(kRows, image.height() - made);
        if (!across) {
          for (int r = 0; r < rows; ++r)
            kernels.widen(image.row(made + r), values, at(made + r, start));
        } else if (rows == kRows) {
          kernels.across(x_axis, image.row(made), in_step, image.width(), at(made, start), step);
        } else {  // fewer than four are left: the last stands in for those behind it
          for (int r = 0; r < kRows; ++r)
            std::memcpy(last.data() + r * in_step, image.row(made + std::min(r, rows - 1)),
                        size_t(in_step));
          kernels.across(x_axis, last.data(), in_step, image.width(), at(made, start), step);
        }
        made += rows;
      }
    }
    if (!down) {
      emit(y, at(first, start));
      continue;
    }
    kernels.down(&y_axis.weights[size_t(y) * size_t(y_axis.stride)], count, at(first, start), step,
                 values, row.data());
    emit(y, row.data());
  }
}

}  // namespace

Image resize_rounded(const Image& image, int width, int height) {
  const FloatKernels kernels = best_kernels();
  Image out(width, height);
  if (width == image.width() && height == image.height()) {
    std::copy(image.pixels().begin(), image.pixels().end(), out.pixels().begin());
    return out;
  }
  resize_rows(image, width, height, kernels,
              [&](int y, const float* row) { kernels.round(row, int64_t{width} * 3, out.row(y)); });
  return out;
}

std::vector<float> resize_unrounded(const Image& image, int width, int height) {
  std::vector<float> out(size_t(width) * size_t(height) * 3);
  resize_rows(image, width, height, best_kernels(), [&](int y, const float* row) {
    std::copy(row, row + int64_t{width} * 3, out.begin() + int64_t{y} * width * 3);
  });
  return out;
}

}  // namespace lmms::media
