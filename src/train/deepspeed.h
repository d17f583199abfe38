#pragma once
/// `trainer_args.deepspeed`: what a DeepSpeed config (0.19) asks for, in the terms of this program.
/// What other keys say too must say the same or `auto`, as transformers has it
/// (integrations/deepspeed.py); what is not built is refused by name.
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "train/config.h"

namespace lmms::train {

struct DeepSpeedFault {
  std::string key;        ///< dotted, from the root of the config
  std::string what;       ///< is wrong with it, or is not built
  std::string not_built;  ///< the value that is not; empty: something else is wrong
};

struct DeepSpeedReading {
  std::vector<DeepSpeedFault> faults;
  /// Keys that change nothing here though they are switched on, and why.
  std::vector<std::pair<std::string, std::string>> idle;
  std::vector<std::string> notices;   ///< for the user, a sentence each
  std::optional<int64_t> zero_stage;  ///< 0 to 3; absent: the config does not say
};

/// `where`: the place of another key for messages, " (train.yaml:3:5)", or empty; may be null.
DeepSpeedReading read_deepspeed(
    const TrainerArgs& args,
    const std::function<std::string(const std::string& key)>& where = nullptr);

/// Whether the ZeRO stage asks for weights that are given back after each use (stage 3), or stay
/// gathered (1 and 2); nothing without a stage, or with 0, which divides nothing. What
/// `fsdp_config.reshard_after_forward` says of ranks.
std::optional<bool> reshard_after_forward(const DeepSpeedReading& reading);

/// The keys at its top that are read or refused: what the guide has a row for.
std::vector<std::string> deepspeed_keys();

}  // namespace lmms::train
