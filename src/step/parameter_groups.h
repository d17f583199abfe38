#pragma once
/// Which weights have a learning rate or a weight decay of their own (trainer_args.learning_rates).
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "nn/memory.h"
#include "nn/param.h"
#include "optim/config.h"
#include "optim/optimizer.h"

namespace lmms::step {

/// Elements of local() of a bucket that belong to a trained tensor of the checkpoint, with the gaps
/// behind them.
struct TrainedPart {
  size_t bucket = 0;
  parallel::Range range;
  const nn::Part* part = nullptr;
};

/// What this rank trains, by bucket and offset. A tensor that is cut, or that other ranks hold too,
/// may come more than once or never.
std::vector<TrainedPart> trained_parts(const nn::ParamTable& params, const nn::ModelMemory& memory);

/// Those of them that `takes` a part, by bucket, ascending, neighbours joined.
std::vector<std::vector<parallel::Range>> trained_ranges(
    const nn::ParamTable& params, const nn::ModelMemory& memory,
    const std::function<bool(const nn::Part&)>& takes);

/// Weights that share a learning rate.
struct ParameterGroup {
  std::string name;  ///< its module_pattern; empty: whatever no entry names
  double learning_rate = 0;
  double weight_decay = 0;
  int64_t elements = 0;  ///< on all ranks
};

struct ParameterGroups {
  std::vector<ParameterGroup> groups;  ///< what no entry names, then the entries in order
  std::vector<std::vector<optim::GroupRange>> ranges;  ///< of local(), by bucket
};

/// Gives every trained tensor to the first entry that fits it. Throws Error, with `where`, for an
/// entry that gets none: naming the nearest module, or why it gets none.
ParameterGroups parameter_groups(const nn::ParamTable& params, const nn::ModelMemory& memory,
                                 const optim::OptimizerConfig& config, const std::string& where);

}  // namespace lmms::step
