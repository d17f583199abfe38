#pragma once
/// Steps of a run on meta tensors: the real model, loss, backward and update, without memory
/// and without a GPU.
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "data/loader.h"
#include "nn/run_context.h"
#include "objectives/objective.h"
#include "plan/meter.h"
#include "plan/planned_run.h"
#include "step/network_size.h"
#include "step/train_state.h"

namespace lmms::plan {

/// What a step takes. Bytes on the device, seconds of the device.
struct StepCost {
  int64_t persistent_bytes = 0;  ///< weights, gradients, masters, states, averages
  int64_t peak_bytes = 0;        ///< the most that are alive at once, the above included
  Seconds seconds;               ///< of forward and backward
  double update_seconds = 0;     ///< of zeroing gradients, norm, clip and optimiser
  double flops = 0;              ///< of the model, recompute not counted
  int64_t tokens = 0;

  double total_seconds() const { return seconds.total() + update_seconds; }
};

/// Units that are alike: "model.layers.*".
struct UnitGroup {
  std::string name;
  std::vector<std::string> units;
};

class Rehearsal {
 public:
  /// Steps of `micro_steps`. Throws Error as `lmms train` would.
  Rehearsal(const PlannedRun& run, int64_t micro_steps, const Card& card);

  /// One training step on what `batch` has; its tokens, labels and pixels are not looked at, only
  /// their number.
  StepCost step(const data::StepBatch& batch, const nn::RunContext& context);

  /// Parameters, and the bytes that last.
  const step::NetworkSize& network_size() const { return size_; }

  /// The repeated units, alike ones together, in the order of the model.
  const std::vector<UnitGroup>& unit_groups() const { return groups_; }

 private:
  bool copies_ahead_;
  Meter meter_;
  step::NetworkSize size_;
  step::TrainState state_;
  std::shared_ptr<const objectives::Objective> objective_;
  std::vector<UnitGroup> groups_;
};

}  // namespace lmms::plan
