#pragma once
/// What of the data was trained, since the start of training: for the report.
#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <vector>

#include "data/loader.h"

namespace lmms::train {

/// Counts of lengths in bins that grow with them: 1, 2, 3, 4, 6, 8, 12, 16, 24, ... (powers of two
/// and what lies half-way between them).
class LengthHistogram {
 public:
  /// length >= 1.
  void add(int64_t length);
  /// [n]; bin i holds edge(i) <= length < edge(i + 1).
  const std::vector<int64_t>& counts() const { return counts_; }
  static int64_t edge(size_t bin);
  /// Takes counts() of another; throws std::invalid_argument for what cannot be one.
  void restore(std::vector<int64_t> counts);

  bool operator==(const LengthHistogram&) const = default;

 private:
  std::vector<int64_t> counts_;
};

struct DataStatistics {
  int64_t samples = 0, tokens = 0, supervised_tokens = 0;
  LengthHistogram lengths;  ///< of samples, in tokens

  void add(const data::StepBatch& batch);
  bool operator==(const DataStatistics&) const = default;
};

/// For the state of a run.
nlohmann::json to_json(const DataStatistics& statistics);
/// Throws std::exception for what to_json did not write.
DataStatistics data_statistics_from(const nlohmann::json& json);

}  // namespace lmms::train
