#pragma once
/// Numbers by step, in columns, of a bounded size.
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace lmms::report {

/// Rows of increasing steps. Above `most_points` rows neighbours are averaged: a point then stands
/// for rows_per_point() rows, with the step of the last of them and the mean of what each column
/// has.
class Table {
 public:
  /// `most_points` even, at least 2.
  explicit Table(size_t most_points = 200'000) : most_points_(most_points) {}

  /// Adds a row. A step that was there before takes the place of that row and all after it. Numbers
  /// that are not finite count as missing. At most 64 columns are kept.
  void add(int64_t step, const std::vector<std::pair<std::string_view, double>>& values);
  void clear() { *this = Table(most_points_); }

  size_t points() const { return steps_.size(); }
  size_t rows() const { return rows_; }
  size_t rows_per_point() const { return rows_per_point_; }
  const std::vector<int64_t>& steps() const { return steps_; }
  /// Names in the order in which they came.
  const std::vector<std::string>& names() const { return names_; }
  /// As long as steps(), NaN where a row has no such number; empty if no row has.
  std::vector<float> column(std::string_view name) const;
  /// The last number of a column, NaN if there is none.
  double last(std::string_view name) const;

 private:
  struct Column {
    std::vector<float> values;  // may be shorter than steps_: the rest is missing
    uint32_t in_last = 0;       // rows of the last point that have the number
  };
  void halve();

  size_t most_points_;
  size_t rows_ = 0;
  size_t rows_per_point_ = 1;
  size_t rows_in_last_ = 0;
  std::vector<int64_t> steps_;
  std::vector<std::string> names_;
  std::map<std::string, Column, std::less<>> columns_;
};

}  // namespace lmms::report
