#include "data/dataset_registry.h"

#include "data/config.h"

namespace lmms::data {
namespace {

/// What the processor of class images reads of dataset_config.extra_kwargs.
constexpr std::string_view kClassImageArguments[] = {"image_column", "label_column"};

}  // namespace

void register_datasets(DatasetRegistry& registry) {
  for (const config::Name& type : dataset_type_names()) {
    if (type.built != config::Built::built) continue;
    DatasetEntry entry{Dataset::open, dataset_form(type.name).value()};
    if (entry.form == RecordForm::class_images) entry.arguments = kClassImageArguments;
    registry.add(std::string(type.name), std::string(type.help), entry);
  }
}

}  // namespace lmms::data
