#pragma once
/// metrics.jsonl: one object a logged step, floats exact to the last bit.
#include <cstdint>
#include <filesystem>
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "train/evaluation.h"

namespace lmms::train {

/// A row. Counts are of this step over all ranks, except where said.
struct StepMetrics {
  int64_t step = 0;  ///< attempted updates, from 1
  double epoch = 0;
  double loss = 0;
  std::map<std::string, double> terms;  ///< parts of the loss, where there are several
  double grad_norm = 0;                 ///< before clipping
  double learning_rate = 0;             ///< that the update used
  /// The same of weights with one of their own, by the module_pattern of the config.
  std::vector<std::pair<std::string, double>> group_learning_rates;
  /// Of the networks but the first.
  struct NetworkMetrics {
    std::string name;
    double learning_rate = 0, grad_norm = 0;
  };
  std::vector<NetworkMetrics> networks;
  int64_t tokens = 0, supervised_tokens = 0, samples = 0;
  int64_t images = 0;  ///< samples that are images (data::kImages): their rate is told too
  double step_seconds = 0, data_wait_seconds = 0;
  double flops = 0, lmms_engine_flops = 0;  ///< of this rank: StepWork
  int64_t peak_memory_bytes = 0;
  int64_t skipped_samples = 0;  ///< since the start
  bool skipped = false;         ///< no update: loss or gradient was not finite
};

/// What the rates are computed with.
struct Machine {
  double peak_flops_per_second = 0;  ///< of one device; mfu is of this rank's
  int ranks = 1;
};

/// The row as it stands in metrics.jsonl. Non-finite numbers become null.
nlohmann::ordered_json to_json(const StepMetrics& row, const Machine& machine);

/// A row of an evaluation after `step`.
nlohmann::ordered_json to_json(const EvaluationResult& result, int64_t step, double epoch);

/// Whether a row of metrics.jsonl is one of an evaluation.
bool is_evaluation(const nlohmann::json& row);

/// Appends rows; each line reaches the file in one write.
class MetricsFile {
 public:
  /// Opens DIR/metrics.jsonl and cuts off every row beyond `last_step` (those of a run that was
  /// killed after its last checkpoint) and a torn last line. `last_step` 0 starts anew.
  /// `evaluation_due`: the evaluation after `last_step` is still to be made; a row of it is cut off
  /// too.
  MetricsFile(const std::filesystem::path& dir, int64_t last_step, bool evaluation_due = false);
  void write(const nlohmann::ordered_json& row);
  /// The step of the last evaluation among the rows that were kept; -1: none.
  int64_t last_evaluation() const { return last_evaluation_; }

 private:
  std::filesystem::path path_;
  int64_t last_evaluation_ = -1;
};

}  // namespace lmms::train
