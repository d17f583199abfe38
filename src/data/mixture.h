#pragma once
/// The lists of sources that users write.
#include <optional>
#include <string>
#include <vector>

#include "core/error.h"
#include "data/config.h"

namespace lmms::data {

/// Reads an external mixture file:
///   datasets:
///     - {path: a.jsonl, data_folder: /media, data_type: jsonl, weight: 0.5}
/// Faults name file:line:column: a wrong type, an unknown key (with the nearest known one), no
/// path. `home`: the folder of `~` in its paths; empty: there is none.
Result<std::vector<SourceConfig>> read_mixture(const std::string& path,
                                               const std::string& home = "");

/// The sources that a config names: its inline list, or what dataset_format makes of dataset_path
/// (hf_dataset: a local folder; yaml: a mixture, or data where the suffix says that it is that).
/// `path`, if given, stands in for both (eval_dataset_path).
Result<std::vector<SourceConfig>> sources_of(const DataConfig& config,
                                             const std::optional<std::string>& path = std::nullopt);

}  // namespace lmms::data
