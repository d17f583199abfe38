#pragma once
/// What opens the data of a `dataset_type`.
#include <memory>

#include "core/registry.h"
#include "data/dataset.h"

namespace lmms::data {

/// Opens the sources; a type may read or arrange them in a way of its own.
using DatasetFactory = Result<std::shared_ptr<Dataset>> (*)(const DatasetOptions& options);
/// By dataset_type.
using DatasetRegistry = Registry<DatasetFactory>;

/// Adds every type of dataset_types.def that is built: all of them are Dataset::open.
void register_datasets(DatasetRegistry& registry);

}  // namespace lmms::data
