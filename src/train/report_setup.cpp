#include "train/report_setup.h"

#include <span>
#include <string>

#include "core/config/fields.h"
#include "core/config/schema.h"
#include "train/config.h"

namespace lmms::train {

std::optional<report::ConfigFacts> config_facts(const std::filesystem::path& file) {
  const std::string word = "config_yaml=" + file.string();
  TrainConfig config = load_train_config(std::span(&word, 1)).config;
  report::ConfigFacts facts;
  facts.run_name = config.trainer.run_name.value_or("");
  if (config.trainer.max_steps <= 0) facts.epochs = config.trainer.num_train_epochs;
  facts.changes = diff_from_defaults(config);
  config::Fields list;
  fields(list, config);
  facts.tree = config::write_config(list);
  return facts;
}

}  // namespace lmms::train
