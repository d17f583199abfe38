#include <unistd.h>

#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "app/commands.h"
#include "app/environment.h"
#include "app/usage.h"
#include "core/log.h"
#include "core/terminal.h"
#include "kernels/device.h"
#include "train/plan_setup.h"

namespace lmms::app {
namespace {

struct PlanWords {
  std::vector<std::string> config;
  std::string card;  ///< empty: this machine's GPU, else h100
  int64_t steps = 8;
  bool json = false;
};

plan::Card card_of(const PlanWords& words, const train::Place& place) {
  if (!words.card.empty()) return plan::card_named(words.card);
  const c10::Device device = kernels::best_device(place.local_rank);
  return device.is_cuda() ? plan::card_of(device) : plan::card_named("h100");
}

Exit run(const PlanWords& words, const train::Registries& registries) {
  const train::LoadedConfig loaded = train::load_train_config(words.config, home(), registries);
  train::check_paths(loaded, hub_cache());
  const train::Place here = place();
  const plan::Plan plan = train::make_plan(loaded, here, card_of(words, here), words.steps);
  const std::string text = words.json
                               ? plan::plan_json(plan).dump(2) + "\n"
                               : plan::plan_table(plan, terminal_columns(STDOUT_FILENO, 120));
  std::fwrite(text.data(), 1, text.size(), stdout);
  return plan.fit.fits ? Exit::done : Exit::failed;
}

}  // namespace

void add_plan(CLI::App& app, const train::Registries& registries, Outcome& outcome) {
  CLI::App* command = app.add_subcommand(
      "plan", "Predict memory and speed of a config on a GPU, without one, and say what would fit");
  auto words = std::make_shared<PlanWords>();
  add_config_words(*command, words->config, "dataset_config.packing_length=4096");
  command
      ->add_option("--card", words->card,
                   "The GPU: " + plan::card_names() +
                       ", or a MIG slice by its size, h100:3g.40gb (this machine's, else h100)")
      ->type_name("CARD");
  command
      ->add_option("--steps", words->steps,
                   "Steps of the data to rehearse (8): the longest decides on memory")
      ->check(CLI::Range(int64_t{1}, int64_t{100000}))
      ->type_name("N");
  command->add_flag("--json", words->json, "One JSON object instead of a table");
  command->footer(
      "\nChecks config, model, tokenizer and data as lmms train does, and runs the first steps "
      "without memory. Exit codes: 0 it fits, 1 it does not, 2 bad config or data.");
  command->callback([words, &registries, &outcome] { outcome.exit = run(*words, registries); });
}

}  // namespace lmms::app
