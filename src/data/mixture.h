#pragma once
/// The lists of sources that users write.
#include <string>
#include <vector>

#include "core/error.h"
#include "data/dataset.h"

namespace lmms::data {

/// Reads an external mixture file:
///   datasets:
///     - {path: a.jsonl, data_folder: /media, data_type: jsonl, weight: 0.5}
/// Faults name file:line:column: a wrong type, an unknown key (with the nearest known one), no
/// path.
Result<std::vector<SourceOptions>> read_mixture(const std::string& path);

/// The sources of `dataset_path` under a `dataset_format` of json, jsonl, csv, arrow, parquet,
/// hf_dataset (a local folder) or yaml (a mixture file).
Result<std::vector<SourceOptions>> sources_of(const std::string& dataset_path,
                                              const std::string& dataset_format);

}  // namespace lmms::data
