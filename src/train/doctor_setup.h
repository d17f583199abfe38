#pragma once
/// What the run of a config takes of a machine, for `lmms doctor`.
#include <span>
#include <string>

#include "inspect/machine/run_needs.h"
#include "train/config.h"
#include "train/place.h"

namespace lmms::nn {
class ParamTable;
}

namespace lmms::train {

/// Reads CONFIG and key=value, as `lmms train` does, and everything that it would refuse before its
/// first step; without words nothing. Throws nothing for what is wrong with the config.
inspect::RunCheck check_run(std::span<const std::string> words, const Place& place,
                            const Registries& registries);

/// From the config alone: no weights are read, no memory is taken. Makes the model's structure,
/// freezes, and looks at the checkpoint's list of tensors. Throws Error as `lmms train` would.
inspect::RunNeeds run_needs(const LoadedConfig& loaded, const Place& place);

}  // namespace lmms::train
