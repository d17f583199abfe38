#pragma once
/// From a config to what `lmms preview` shows.
#include <filesystem>

#include "inspect/preview/preview.h"
#include "train/config.h"

namespace lmms::train {

/// Data sets, processor and loader options; no weights, and the model's config only where something
/// asks for it. `hub_cache`: where names of the hub are looked up; may be empty. Throws Error for
/// what would keep training from starting.
inspect::preview::Input preview_input(const LoadedConfig& loaded, bool evaluation,
                                      const std::filesystem::path& hub_cache);

/// What `packing_strategy: balanced` evens for the model of a config, without memory for it;
/// nothing is read but its config.json. Throws Error.
data::CostModel cost_model_of(const LoadedConfig& loaded, const std::filesystem::path& hub_cache);

}  // namespace lmms::train
