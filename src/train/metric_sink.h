#pragma once
/// Where the rows of metrics.jsonl go besides that file: what `trainer_args.report_to` names.
#include <filesystem>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "core/registry.h"

namespace lmms::train {

/// What a sink is made for.
struct MetricSinkSetup {
  std::filesystem::path output_dir;
  std::optional<std::string> run_name{};
  int64_t first_step =
      0;  ///< the first that will be written: later ones of earlier starts are void
};

class MetricSink {
 public:
  virtual ~MetricSink() = default;
  /// A row of metrics.jsonl, with its `step`. Throws Error (a full disk).
  virtual void write(const nlohmann::ordered_json& row) = 0;
  /// After an evaluation, a checkpoint and at the end: what was written can be looked at.
  virtual void flush() = 0;
};

struct MetricSinkEntry {
  /// nullptr: what another one writes serves this one too.
  std::unique_ptr<MetricSink> (*make)(const MetricSinkSetup& setup) = nullptr;
  const char* written_by = nullptr;  ///< that other sink
  /// A line for the user: how to look at what is written.
  std::string (*pointer)(const MetricSinkSetup& setup) = nullptr;
  /// Of what `make` makes: the command that shows it while it is written.
  std::string (*live)(const MetricSinkSetup& setup) = nullptr;
};

/// By the name in report_to.
using MetricSinkRegistry = Registry<MetricSinkEntry>;

/// Adds every sink of metric_sinks.def.
void register_metric_sinks(MetricSinkRegistry& registry);

/// The sinks that a run writes to.
class MetricSinks {
 public:
  /// `names`: of report_to; "all" is every sink, a name that is not in the registry none. What
  /// writes for another one is asked for with it.
  MetricSinks(const MetricSinkRegistry& registry, const std::vector<std::string>& names,
              MetricSinkSetup setup);
  ~MetricSinks();

  /// Makes them. Throws Error.
  void open();
  void write(const nlohmann::ordered_json& row);
  void flush();
  void close();
  /// A line for each, in the order of the registry.
  std::vector<std::string> pointers() const;
  /// A line for the names that are services: nothing is sent to them, and how to follow the run
  /// while it goes on. Empty where there are none.
  std::string instead_of_services() const;

 private:
  MetricSinkSetup setup_;
  std::vector<std::string> services_;          // of report_to, as given
  std::vector<const MetricSinkEntry*> asked_;  // in the order of the registry
  std::vector<std::unique_ptr<MetricSink>> open_;
};

}  // namespace lmms::train
