#include "media/resize.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "media/resize_kernels.h"

namespace lmms::media {
namespace {

/// Rows by which the window of a resize is larger than the filter: moved on once in so many.
constexpr int kWindow = 64;

struct FilterShape {
  double support;  // half its width
  double (*at)(double x);
};

// Half open, as in Pillow: a source pixel belongs to one.
double box(double x) {
  return x > -0.5 && x <= 0.5 ? 1.0 : 0.0;
}

double triangle(double x) {
  return std::max(0.0, 1.0 - std::abs(x));
}

// torch's cubic_convolution1 and 2 with A = -0.5, the operations in its order.
double cubic(double x) {
  constexpr double a = -0.5;
  x = std::abs(x);
  if (x < 1.0) return ((a + 2) * x - (a + 3)) * x * x + 1;
  if (x < 2.0) return ((a * x - 5 * a) * x + 8 * a) * x - 4 * a;
  return 0.0;
}

double sinc(double x) {
  return x == 0.0 ? 1.0 : std::sin(M_PI * x) / (M_PI * x);
}
double lanczos3(double x) {
  return std::abs(x) < 3.0 ? sinc(x) * sinc(x / 3) : 0.0;
}

FilterShape shape_of(Filter filter) {
  switch (filter) {
    case Filter::box:
      return {0.5, box};
    case Filter::bilinear:
      return {1.0, triangle};
    case Filter::lanczos:
      return {3.0, lanczos3};
    case Filter::bicubic:
      break;
  }
  return {2.0, cubic};
}

/// torch's _compute_index_ranges_int16_weights (aten/src/ATen/native/cpu/UpSampleKernel.cpp) with
/// antialias.
AxisWeights axis_weights(int in, int out, Filter filter) {
  const FilterShape shape = shape_of(filter);
  const double scale = double(in) / out;
  const double widened = std::max(scale, 1.0);
  const double support = shape.support * widened;
  const int most = int(std::ceil(support)) * 2 + 1;
  AxisWeights axis;
  axis.stride = (most + AxisWeights::kGroup - 1) / AxisWeights::kGroup * AxisWeights::kGroup;
  axis.first.resize(out);
  axis.count.resize(out);
  std::vector<double> weights(size_t(out) * axis.stride, 0.0);
  double largest = 0.0;
  for (int i = 0; i < out; ++i) {
    const double center = scale * (i + 0.5);
    const int first = std::max(int(center - support + 0.5), 0);
    const int count = std::clamp(std::min(int(center + support + 0.5), in) - first, 0, most);
    double* w = &weights[size_t(i) * axis.stride];
    double total = 0.0;
    for (int k = 0; k < count; ++k)
      total += w[k] = shape.at((k + first - center + 0.5) * (1.0 / widened));
    for (int k = 0; k < count && total != 0.0; ++k) largest = std::max(largest, w[k] /= total);
    axis.first[i] = first;
    axis.count[i] = count;
  }
  // As many bits as keep the largest weight within 16.
  while (axis.precision < 22 && int(0.5 + largest * (1 << (axis.precision + 1))) < 1 << 15)
    ++axis.precision;
  axis.weights.resize(weights.size());
  const double unit = 1 << axis.precision;
  std::transform(weights.begin(), weights.end(), axis.weights.begin(), [unit](double w) {
    return int16_t(int(w < 0 ? w * unit - 0.5 : w * unit + 0.5));
  });
  return axis;
}

}  // namespace

Image resize(const Image& image, int width, int height, Filter filter) {
  const RowKernels rows = best_rows();
  Image out(width, height);
  const int64_t in_step = int64_t{image.width()} * 3, out_step = int64_t{width} * 3;
  const bool across = width != image.width(), down = height != image.height();
  if (!across && !down) {
    std::copy(image.pixels().begin(), image.pixels().end(), out.pixels().begin());
    return out;
  }
  const AxisWeights x_axis = across ? axis_weights(image.width(), width, filter) : AxisWeights{};
  const auto shrink_rows = [&](int y, int count, uint8_t* to) {
    for (; count >= 4; count -= 4, y += 4, to += 4 * out_step)
      rows.across(x_axis, image.row(y), in_step, to, out_step, 4);
    for (; count > 0; --count, ++y, to += out_step)
      rows.across(x_axis, image.row(y), in_step, to, out_step, 1);
  };
  if (!down) {
    shrink_rows(0, height, out.row(0));
    return out;
  }
  const AxisWeights y_axis = axis_weights(image.height(), height, filter);
  if (!across) {
    for (int y = 0; y < height; ++y)
      rows.down(&y_axis.weights[size_t(y) * y_axis.stride], y_axis.count[y], y_axis.precision,
                image.row(y_axis.first[y]), out_step, out.row(y), out_step);
    return out;
  }
  // A window of rows of the right width, made shortly before they are summed, while the cache still
  // holds them. Row `start` of the image stands at its top, rows up to `made` are in it.
  const int most = *std::max_element(y_axis.count.begin(), y_axis.count.end());
  Image window(width, most + kWindow);
  int start = 0, made = 0;
  for (int y = 0; y < height; ++y) {
    const int first = y_axis.first[y], count = y_axis.count[y];
    if (made < first + count) {
      made = std::max(made, first);  // rows that nothing asks for are never made
      const int until = std::min((first + count + 3) / 4 * 4, image.height());
      if (until - start > window.height()) {
        if (made > first)
          std::memmove(window.row(0), window.row(first - start), size_t(made - first) * out_step);
        start = first;
      }
      shrink_rows(made, until - made, window.row(made - start));
      made = until;
    }
    rows.down(&y_axis.weights[size_t(y) * y_axis.stride], count, y_axis.precision,
              window.row(first - start), out_step, out.row(y), out_step);
  }
  return out;
}

}  // namespace lmms::media
