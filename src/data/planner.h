#pragma once
/// Which samples each step trains. Pure order: the same outcomes give the same plans, whoever
/// measured them and whenever.
#include <functional>
#include <future>
#include <memory>
#include <optional>
#include <vector>

#include "data/loader.h"
#include "data/loader_state.h"
#include "data/sample_reader.h"

namespace lmms::data {

/// How long a training is.
struct Extent {
  int64_t steps_per_epoch = 0;           ///< without packing
  std::optional<int64_t> total_steps;    ///< where it is known
  std::optional<int64_t> total_samples;  ///< with packing and no max_steps
};
/// Throws Error if the options make no step.
Extent extent_of(int64_t rows_per_epoch, const LoaderOptions& options);

struct StepPlan {
  std::vector<Bin> rows;  ///< a row without items: its sample was skipped
  double epoch = 0.0;     ///< as in StepBatch
  double progress_before = 0.0;
  double progress = 0.0;
  std::shared_ptr<const LoaderSnapshot> after;
};

class Planner {
 public:
  /// Starts reading and measuring the sample at an ordinal, for a lane in [0, global_rows); called
  /// well before it is needed.
  using Measure = std::function<std::future<Outcome>(int64_t ordinal, int64_t lane)>;

  virtual ~Planner() = default;
  /// nullopt at the end. Throws Error where an outcome is fatal.
  virtual std::optional<StepPlan> next() = 0;
};

/// Plans on from a snapshot. `window`: about how many samples are measured ahead.
std::unique_ptr<Planner> make_planner(int64_t rows_per_epoch, const LoaderOptions& options,
                                      LoaderSnapshot from, Planner::Measure measure,
                                      int64_t window);

}  // namespace lmms::data
