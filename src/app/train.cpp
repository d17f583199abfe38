#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "app/commands.h"
#include "train/config.h"
#include "train/runner.h"

namespace lmms::app {
namespace {

// The hub's cache folder by the rules of huggingface_hub: HF_HUB_CACHE, else HF_HOME/hub, else
// ~/.cache/huggingface/hub.
std::filesystem::path hub_cache() {
  if (const char* cache = std::getenv("HF_HUB_CACHE")) return cache;
  if (const char* home = std::getenv("HF_HOME")) return std::filesystem::path(home) / "hub";
  if (const char* home = std::getenv("HOME"))
    return std::filesystem::path(home) / ".cache/huggingface/hub";
  return {};
}

int local_rank() {
  const char* rank = std::getenv("LOCAL_RANK");
  return rank != nullptr ? std::atoi(rank) : 0;
}

}  // namespace

void add_train(CLI::App& app, Outcome& outcome) {
  CLI::App* command = app.add_subcommand(
      "train", "Train a model as a config says; the same command goes on after a stop");
  auto words = std::make_shared<std::vector<std::string>>();
  command
      ->add_option("words", *words,
                   "CONFIG, and key=value over it (trainer_args.learning_rate=1e-5)")
      ->required()
      ->type_name("CONFIG [key=value ...]");
  command->footer([] { return "\nKeys of the config:\n" + train::describe_fields(""); });
  command->callback([words, &outcome] {
    const train::LoadedConfig loaded = train::load_train_config(*words);
    train::check_paths(loaded, hub_cache());
    outcome.exit = train::train(loaded, {hub_cache(), local_rank()});
  });
}

}  // namespace lmms::app
