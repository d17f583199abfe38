#pragma once
/// What opens the data of a `dataset_type`.
#include <memory>
#include <span>
#include <string_view>

#include "core/registry.h"
#include "data/dataset.h"

namespace lmms::data {

/// Opens the sources; a type may read or arrange them in a way of its own.
using DatasetFactory = Result<std::shared_ptr<Dataset>> (*)(const DatasetOptions& options);

struct DatasetEntry {
  DatasetFactory open;
  RecordForm form = RecordForm::chats;  ///< of its records
  /// Keys of dataset_config.extra_kwargs that are read beside those of the program.
  std::span<const std::string_view> arguments = {};
};

/// By dataset_type.
using DatasetRegistry = Registry<DatasetEntry>;

/// Adds every type of dataset_types.def that is built: all of them are Dataset::open.
void register_datasets(DatasetRegistry& registry);

}  // namespace lmms::data
