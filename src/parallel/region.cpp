#include "parallel/region.h"

#include <ATen/ops/empty.h>
#include <c10/core/GradMode.h>

#include <algorithm>
#include <array>

namespace lmms::parallel {
namespace {

// Of `count` pieces of `extent` elements, the k-th from first + k * stride on: those that touch a
// range, and those that lie in it whole.
struct Touched {
  int64_t begin = 0, end = 0, whole_begin = 0, whole_end = 0;
};

Touched touched(int64_t first, int64_t stride, int64_t extent, int64_t count, Range range) {
  const int64_t step = std::max<int64_t>(stride, 1);
  // the first piece that begins at element `at` or behind it
  const auto from = [&](int64_t at) {
    return at <= first ? 0 : std::min((at - first + step - 1) / step, count);
  };
  const int64_t end = range.offset + range.length;
  return {from(range.offset - extent + 1), from(end), from(range.offset), from(end - extent + 1)};
}

Strides moved(Strides s, int64_t matrix, int64_t row, int64_t column) {
  s.first += matrix * s.matrix + row * s.row + column * s.column;
  return s;
}

// `r` without what lies before the given matrix, row and column; with so many of each.
Region box(const Region& r, std::array<int64_t, 3> begin, std::array<int64_t, 3> count) {
  return {count[0], count[1], count[2], moved(r.inner, begin[0], begin[1], begin[2]),
          moved(r.hub, begin[0], begin[1], begin[2])};
}

void add_row_within(std::vector<Region>& out, const Region& r, int64_t m, int64_t row,
                    Range range) {
  const int64_t first = moved(r.inner, m, row, 0).first;
  const int64_t begin = std::max<int64_t>(range.offset - first, 0);
  const int64_t end = std::min(range.offset + range.length - first, r.columns);
  out.push_back(box(r, {m, row, begin}, {1, 1, end - begin}));
}

void add_matrix_within(std::vector<Region>& out, const Region& r, int64_t m, Range range) {
  const Touched t = touched(moved(r.inner, m, 0, 0).first, r.inner.row, r.columns, r.rows, range);
  for (int64_t row = t.begin; row < t.end;) {
    if (row == t.whole_begin && t.whole_begin < t.whole_end) {
      out.push_back(box(r, {m, row, 0}, {1, t.whole_end - row, r.columns}));
      row = t.whole_end;
    } else {
      add_row_within(out, r, m, row++, range);
    }
  }
}

int64_t matrix_extent(const Region& r) {
  return (r.rows - 1) * r.inner.row + r.columns;
}

at::Tensor strided(const at::Tensor& t, const Region& r, const Strides& s, int64_t offset) {
  return t.as_strided({r.matrices, r.rows, r.columns}, {s.matrix, s.row, s.column},
                      t.storage_offset() + s.first - offset);
}

}  // namespace

int64_t Region::inner_end() const {
  return inner.first + (matrices - 1) * inner.matrix + matrix_extent(*this);
}

bool Region::ascends() const {
  return inner.column == 1 && (rows == 1 || inner.row >= columns) &&
         (matrices == 1 || inner.matrix >= matrix_extent(*this));
}

std::vector<Region> within(const Region& region, Range range) {
  std::vector<Region> out;
  if (range.length <= 0 || region.elements() == 0) return out;
  const Touched t = touched(region.inner.first, region.inner.matrix, matrix_extent(region),
                            region.matrices, range);
  for (int64_t m = t.begin; m < t.end;) {
    if (m == t.whole_begin && t.whole_begin < t.whole_end) {
      out.push_back(box(region, {m, 0, 0}, {t.whole_end - m, region.rows, region.columns}));
      m = t.whole_end;
    } else {
      add_matrix_within(out, region, m++, range);
    }
  }
  return out;
}

std::vector<Region> shifted(std::vector<Region> regions, int64_t elements) {
  for (Region& region : regions) region.inner.first += elements;
  return regions;
}

std::vector<Range> inner_ranges(std::span<const Region> regions) {
  std::vector<Range> runs;
  for (const Region& r : regions) {
    const bool rows_join = r.rows == 1 || r.inner.row == r.columns;
    const bool all_join = rows_join && (r.matrices == 1 || r.inner.matrix == r.rows * r.columns);
    if (all_join) {
      runs.push_back({r.inner.first, r.elements()});
      continue;
    }
    for (int64_t m = 0; m < r.matrices; ++m) {
      if (rows_join) {
        runs.push_back({moved(r.inner, m, 0, 0).first, r.rows * r.columns});
        continue;
      }
      for (int64_t row = 0; row < r.rows; ++row)
        runs.push_back({moved(r.inner, m, row, 0).first, r.columns});
    }
  }
  std::sort(runs.begin(), runs.end(),
            [](const Range& a, const Range& b) { return a.offset < b.offset; });
  std::vector<Range> out;
  for (const Range& run : runs) {
    if (!out.empty() && out.back().offset + out.back().length == run.offset) {
      out.back().length += run.length;
    } else {
      out.push_back(run);
    }
  }
  return out;
}

Range hub_range(std::span<const Region> regions) {
  if (regions.empty()) return {};
  int64_t begin = regions.front().hub.first, end = begin;
  for (const Region& r : regions) {
    begin = std::min(begin, r.hub.first);
    end = std::max(end, r.hub.first + (r.matrices - 1) * r.hub.matrix + (r.rows - 1) * r.hub.row +
                            (r.columns - 1) * r.hub.column + 1);
  }
  return {begin, end - begin};
}

at::Tensor inner_view(const at::Tensor& flat, const Region& region) {
  return strided(flat, region, region.inner, 0);
}

at::Tensor hub_view(const at::Tensor& hub, const Region& region, int64_t hub_offset) {
  return strided(hub, region, region.hub, hub_offset);
}

at::Tensor read(const at::Tensor& flat, std::span<const Region> regions,
                at::IntArrayRef hub_shape) {
  if (regions.size() == 1) {
    const Region& r = regions.front();
    // dimensions in the order of the hub's tensor
    std::array<std::pair<int64_t, int64_t>, 3> order{
        {{r.hub.matrix, 0}, {r.hub.row, 1}, {r.hub.column, 2}}};
    const std::array<int64_t, 3> sizes{r.matrices, r.rows, r.columns};
    std::stable_sort(order.begin(), order.end(), [&](const auto& a, const auto& b) {
      const bool one_a = sizes[static_cast<size_t>(a.second)] == 1;
      const bool one_b = sizes[static_cast<size_t>(b.second)] == 1;
      return one_a != one_b ? one_a : a.first > b.first;
    });
    return inner_view(flat, r)
        .permute({order[0].second, order[1].second, order[2].second})
        .reshape(hub_shape);
  }
  at::Tensor hub = at::empty(hub_shape, flat.options());
  read_into(hub, flat, regions);
  return hub;
}

void read_into(const at::Tensor& hub, const at::Tensor& flat, std::span<const Region> regions) {
  const c10::NoGradGuard no_grad;
  for (const Region& r : regions) hub_view(hub, r).copy_(inner_view(flat, r));
}

void write(const at::Tensor& flat, std::span<const Region> regions, const at::Tensor& hub,
           int64_t hub_offset) {
  const c10::NoGradGuard no_grad;
  for (const Region& r : regions) inner_view(flat, r).copy_(hub_view(hub, r, hub_offset));
}

}  // namespace lmms::parallel
