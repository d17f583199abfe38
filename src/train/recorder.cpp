#include "train/recorder.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "checkpoint/checkpoint_dir.h"
#include "core/clock.h"
#include "core/format.h"
#include "core/log.h"
#include "core/version.h"
#include "report/html/html.h"
#include "train/report_setup.h"

namespace lmms::train {
namespace {

namespace fs = std::filesystem;
using std::chrono::steady_clock;

// Between two records of the data.
constexpr std::chrono::seconds kDataPause{20};

int64_t bytes_below(const fs::path& folder) {
  int64_t bytes = 0;
  std::error_code ignored;
  for (const auto& entry : fs::recursive_directory_iterator(folder, ignored)) {
    if (entry.is_regular_file(ignored)) bytes += static_cast<int64_t>(entry.file_size(ignored));
  }
  return bytes;
}

std::string name_of(int64_t checkpoint) {
  return checkpoint::checkpoint_path("", checkpoint).string();
}

nlohmann::json skipped_of(const data::SkipCounts& counts) {
  nlohmann::json out = nlohmann::json::object();
  const auto add = [&](std::string_view name, const data::Occurrences& happened) {
    if (happened.count == 0) return;
    out[std::string(name)] = {{"count", happened.count},
                              {"first_where", happened.first_where},
                              {"first_what", happened.first_what}};
  };
  for (const data::SkipReason reason : data::kSkipReasons)
    add(data::skip_reason_name(reason), counts.of(reason));
  add("truncated", counts.truncated);
  return out;
}

}  // namespace

Recorder::Recorder(const TrainerArgs& args, const MetricSinkRegistry& sinks, int64_t last_step,
                   bool evaluation_due, JournalFile& journal, RunLog& run_log)
    : output_(args.output_dir),
      journal_(journal),
      run_log_(run_log),
      metrics_(output_, last_step, evaluation_due),
      sinks_(sinks, args.report_to,
             {.output_dir = output_,
              .run_name = args.run_name,
              .first_step = last_step == 0 || evaluation_due ? last_step : last_step + 1}) {}

Recorder::~Recorder() = default;

void Recorder::begin(nlohmann::json start) {
  const int64_t step = start.at("step").get<int64_t>();
  journal_.open(output_, step, std::move(start));
  run_log_.open(output_,
                fmt::format("lmms {} {}", kVersion,
                            step == 0 ? "begins" : fmt::format("goes on after step {}", step)));
  sinks_.open();
  report_.emplace(output_, config_facts);
}

void Recorder::write(const nlohmann::ordered_json& row) {
  metrics_.write(row);
  sinks_.write(row);
}

void Recorder::step(const StepMetrics& row, const Machine& machine, const std::string& line) {
  write(to_json(row, machine));
  run_log_.line(line);
}

void Recorder::evaluation(const Evaluation& evaluation, int64_t step, double epoch,
                          const BestState* best) {
  nlohmann::ordered_json row;
  if (evaluation.result) {
    row = to_json(*evaluation.result, step, epoch);
  } else {
    row = {{"step", step}, {"epoch", epoch}};
  }
  bool measured = evaluation.result.has_value();
  for (const Shown& shown : evaluation.shown) {
    measured = measured || !shown.metrics.empty();
    row.update(shown.metrics);
  }
  if (best != nullptr && best->best && std::isfinite(best->best->value)) {
    row["best_metric"] = best->best->value;
    row["best_step"] = best->best->step;
  }
  if (measured) write(row);
  for (const Shown& shown : evaluation.shown) {
    for (const auto& [kind, record] : shown.records) journal_.write(kind, record);
  }
  sinks_.flush();
  report_->refresh();
}

void Recorder::data(const DataStatistics& statistics, const lmms::data::SkipCounts& skipped,
                    bool now) {
  if (!now && steady_clock::now() - data_written_ < kDataPause) return;
  data_written_ = steady_clock::now();
  const std::vector<int64_t>& counts = statistics.lengths.counts();
  std::vector<int64_t> edges;
  for (size_t bin = 0; bin <= counts.size() && !counts.empty(); ++bin)
    edges.push_back(LengthHistogram::edge(bin));
  journal_.write("data", {{"samples", statistics.samples},
                          {"tokens", statistics.tokens},
                          {"supervised_tokens", statistics.supervised_tokens},
                          {"length_edges", edges},
                          {"length_counts", counts},
                          {"skipped", skipped_of(skipped)}});
}

void Recorder::checkpoint(const fs::path& path, double seconds) {
  journal_.write(
      "checkpoint",
      {{"path", path.filename().string()}, {"bytes", bytes_below(path)}, {"seconds", seconds}});
  sinks_.flush();
  report_->refresh();
}

void Recorder::deleted(int64_t checkpoint) {
  journal_.write("checkpoint_deleted", {{"path", name_of(checkpoint)}});
}

void Recorder::best(const BestMetric& metric, const Evaluated& checkpoint) {
  journal_.write(
      "best",
      {{"path", name_of(checkpoint.step)}, {"metric", metric.field}, {"value", checkpoint.value}});
  report_->refresh();
}

void Recorder::end(RunEnd how, const std::string& text, const BestState* best) {
  const char* state = how == RunEnd::finished      ? "finished"
                      : how == RunEnd::interrupted ? "interrupted"
                                                   : "failed";
  if (how == RunEnd::failed) run_log_.line("error: " + text);
  nlohmann::json record{{"state", state}, {"text", text}};
  if (best != nullptr) {
    const Evaluated& from = best->checkpoint.value();
    record["model"] = {{"path", name_of(from.step)},
                       {"step", from.step},
                       {"metric", best->metric.field},
                       {"value", from.value}};
  }
  journal_.write("end", std::move(record));
  sinks_.close();
  report_.reset();  // the last page
}

std::vector<std::string> Recorder::pointers() const {
  std::vector<std::string> out = {"report: " + report::html::file_link(output_ / "report.html")};
  for (std::string& line : sinks_.pointers()) out.push_back(std::move(line));
  return out;
}

}  // namespace lmms::train
