#include "report/table.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace lmms::report {
namespace {

constexpr float kMissing = std::numeric_limits<float>::quiet_NaN();
constexpr size_t kMostColumns = 64;

}  // namespace

void Table::add(int64_t step, const std::vector<std::pair<std::string_view, double>>& values) {
  if (!steps_.empty() && step <= steps_.back()) {  // written again by a run that went on
    const auto from = std::lower_bound(steps_.begin(), steps_.end(), step);
    const auto kept = static_cast<size_t>(from - steps_.begin());
    rows_ = kept * rows_per_point_;
    rows_in_last_ = rows_per_point_;
    steps_.resize(kept);
    for (auto& [name, column] : columns_)
      if (column.values.size() > kept) column.values.resize(kept);
  }
  if (steps_.empty() || rows_in_last_ >= rows_per_point_) {
    if (steps_.size() == most_points_) halve();
    steps_.push_back(step);
    rows_in_last_ = 0;
    for (auto& [name, column] : columns_) column.in_last = 0;
  }
  steps_.back() = step;
  ++rows_in_last_;
  ++rows_;
  for (const auto& [name, value] : values) {
    const auto number = static_cast<float>(value);
    if (!std::isfinite(number)) continue;
    auto found = columns_.find(name);
    if (found == columns_.end()) {
      if (columns_.size() >= kMostColumns) continue;
      found = columns_.emplace(std::string(name), Column{}).first;
      names_.emplace_back(name);
    }
    Column& column = found->second;
    column.values.resize(steps_.size(), kMissing);
    ++column.in_last;
    float& mean = column.values.back();
    mean =
        column.in_last == 1 ? number : mean + (number - mean) / static_cast<float>(column.in_last);
  }
}

void Table::halve() {
  const size_t half = steps_.size() / 2;
  for (size_t i = 0; i < half; ++i) steps_[i] = steps_[2 * i + 1];
  for (auto& [name, column] : columns_) {
    column.values.resize(steps_.size(), kMissing);
    for (size_t i = 0; i < half; ++i) {
      const float a = column.values[2 * i], b = column.values[2 * i + 1];
      column.values[i] = std::isnan(a) ? b : std::isnan(b) ? a : (a + b) / 2;
    }
    column.values.resize(half);
  }
  steps_.resize(half);
  rows_per_point_ *= 2;
}

std::vector<float> Table::column(std::string_view name) const {
  const auto found = columns_.find(name);
  if (found == columns_.end()) return {};
  std::vector<float> values = found->second.values;
  values.resize(steps_.size(), kMissing);
  return values;
}

double Table::last(std::string_view name) const {
  const auto found = columns_.find(name);
  if (found != columns_.end()) {
    const std::vector<float>& values = found->second.values;
    for (auto value = values.rbegin(); value != values.rend(); ++value)
      if (!std::isnan(*value)) return *value;
  }
  return kMissing;
}

}  // namespace lmms::report
