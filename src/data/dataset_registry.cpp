#include "data/dataset_registry.h"

#include "data/config.h"

namespace lmms::data {

void register_datasets(DatasetRegistry& registry) {
  for (const config::Name& type : dataset_type_names()) {
    if (type.built == config::Built::built)
      registry.add(std::string(type.name), std::string(type.help), Dataset::open);
  }
}

}  // namespace lmms::data
