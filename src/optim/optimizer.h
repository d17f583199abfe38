#pragma once
/// What changes the weights of a network, once a step.
#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "core/registry.h"
#include "optim/config.h"
#include "optim/step_decision.h"
#include "parallel/bucket.h"

namespace lmms::optim {

/// Elements [offset, offset + length) of what this rank owns of a bucket that belong to a group: to
/// an entry of OptimizerConfig::learning_rates, counted from 1.
struct GroupRange {
  int64_t offset = 0, length = 0;
  int32_t group = 0;

  bool operator==(const GroupRange&) const = default;
};

/// Something an optimiser keeps for every element of the buckets. The name is that of its file in a
/// checkpoint: it stays what it is.
struct OptimizerState {
  std::string name;
  std::vector<at::Tensor> flats;  ///< by bucket, [Local::length]; undefined where it is frozen
};

class Optimizer {
 public:
  virtual ~Optimizer() = default;
  /// As a person calls it: "AdamW".
  virtual const char* name() const = 0;
  /// Updates the exact weights that this rank owns, and those that the forward reads, by the
  /// gradients in the buckets, clipped; in a step that is skipped nothing. `decision` is decided;
  /// its t counts this update. `learning_rates`: one for each group, group 0 first. Never waits for
  /// the device.
  virtual void update(const StepDecision& decision, std::span<const double> learning_rates,
                      kernels::GradientSlots slots = kernels::GradientSlots::left) = 0;
  /// All that a checkpoint must hold besides weights and StepControl, as the memory itself: what is
  /// loaded into it counts from the next update on.
  virtual std::vector<OptimizerState> states() const = 0;
};

/// What an optimiser is made for. The buckets must outlive it.
struct OptimizerSetup {
  std::span<parallel::Bucket> buckets;
  const OptimizerConfig& config;
  bool decay_everything = false;  ///< norms and biases decay too (compat: decay)
  /// For each bucket the ranges that belong to a group, in order; whatever is in none belongs to
  /// group 0. Empty: no bucket has any.
  std::span<const std::vector<GroupRange>> groups = {};
  uint64_t seed = 0;  ///< of random rounding
};

/// On meta buckets an optimiser allocates everything and computes nothing.
using OptimizerFactory = std::unique_ptr<Optimizer> (*)(const OptimizerSetup&);

/// Those of optimizers.def that are built.
void register_optimizers(Registry<OptimizerFactory>& registry);

}  // namespace lmms::optim
