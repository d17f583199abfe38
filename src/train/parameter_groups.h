#pragma once
/// Which weights have a learning rate or a weight decay of their own (trainer_args.learning_rates).
#include <cstdint>
#include <string>
#include <vector>

#include "nn/memory.h"
#include "nn/param.h"
#include "optim/adamw.h"

namespace lmms::train {

/// A trained tensor of the checkpoint as elements [offset, offset + length) of its bucket; the last
/// of a Param takes the gap behind it.
struct TrainedPart {
  size_t bucket = 0;
  int64_t offset = 0, length = 0;
  const nn::Part* part = nullptr;
};

/// All of them, by bucket and offset.
std::vector<TrainedPart> trained_parts(const nn::ParamTable& params, const nn::ModelMemory& memory);

/// Weights that share a learning rate.
struct ParameterGroup {
  std::string name;  ///< its module_pattern; empty: whatever no entry names
  double learning_rate = 0;
  double weight_decay = 0;
  int64_t elements = 0;
};

struct ParameterGroups {
  std::vector<ParameterGroup> groups;  ///< what no entry names, then the entries in order
  std::vector<std::vector<optim::GroupStretch>> stretches;  ///< by bucket
};

/// Gives every trained tensor to the first entry that fits it. Throws Error, with `where`, for an
/// entry that gets none: naming the nearest module, or why it gets none.
ParameterGroups parameter_groups(const nn::ParamTable& params, const nn::ModelMemory& memory,
                                 const optim::OptimizerConfig& config, const std::string& where);

}  // namespace lmms::train
