#pragma once
/// Everything that a run writes about itself while it goes on: metrics.jsonl, journal.jsonl,
/// train.log, report.html and what report_to asks for (train/metric_sink.h).
#include <chrono>
#include <filesystem>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "data/policy.h"
#include "report/live_report.h"
#include "train/best_model.h"
#include "train/config.h"
#include "train/data_statistics.h"
#include "train/evaluation.h"
#include "train/exhibit.h"
#include "train/journal_file.h"
#include "train/metric_sink.h"
#include "train/metrics.h"
#include "train/run_log.h"

namespace lmms::train {

/// What an evaluation found: eval_loss, and what was shown (answers, samples).
struct Evaluation {
  std::optional<EvaluationResult> result;
  std::vector<Shown> shown;  ///< by the run's exhibits, in their order
};

/// How a run ended.
enum class RunEnd { finished, interrupted, failed };

class Recorder {
 public:
  /// Cuts metrics.jsonl to what lies before the step that follows `last_step`; writes nothing else.
  /// `journal` and `run_log` must outlive the recorder.
  Recorder(const TrainerArgs& args, const MetricSinkRegistry& sinks, int64_t last_step,
           bool evaluation_due, JournalFile& journal, RunLog& run_log);
  ~Recorder();

  /// The run begins, or goes on after `last_step`. `start` is the journal's record of it.
  void begin(nlohmann::json start);

  /// `line` is the same for people.
  void step(const StepMetrics& row, const Machine& machine, const std::string& line);
  /// `best`: of a run that seeks its best evaluation, this one included; may be null.
  void evaluation(const Evaluation& evaluation, int64_t step, double epoch, const BestState* best);
  /// The data trained so far; most calls do nothing: every few seconds is enough.
  void data(const DataStatistics& statistics, const lmms::data::SkipCounts& skipped, bool now);
  void checkpoint(const std::filesystem::path& path, double seconds);
  /// A checkpoint that save_total_limit deleted.
  void deleted(int64_t checkpoint);
  /// A checkpoint that is the best from here on.
  void best(const BestMetric& metric, const Evaluated& checkpoint);
  /// `best`: whose model the final one is, where it is not that of the last step; may be null.
  void end(RunEnd how, const std::string& text, const BestState* best = nullptr);

  /// The step that records belong to from here on.
  void set_step(int64_t step) { journal_.set_step(step); }
  /// The step of the last evaluation that metrics.jsonl holds; -1: none.
  int64_t last_evaluation() const { return metrics_.last_evaluation(); }
  /// Of services in report_to that nothing is sent to: how to follow the run instead; may be empty.
  std::string instead_of_services() const { return sinks_.instead_of_services(); }
  /// What the user can look at, a line each; the report is the first.
  std::vector<std::string> pointers() const;

 private:
  void write(const nlohmann::ordered_json& row);

  std::filesystem::path output_;
  JournalFile& journal_;
  RunLog& run_log_;
  MetricsFile metrics_;
  MetricSinks sinks_;
  std::optional<report::LiveReport> report_;
  std::chrono::steady_clock::time_point data_written_{};
};

}  // namespace lmms::train
