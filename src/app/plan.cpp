#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "app/commands.h"
#include "app/environment.h"
#include "app/usage.h"
#include "core/log.h"
#include "train/plan_setup.h"

namespace lmms::app {
namespace {

struct PlanWords {
  std::vector<std::string> config;
  std::string card;  ///< empty: what the run would take here (train/plan_setup.h)
  int64_t steps = 8;
  bool json = false;
};

Exit run(const PlanWords& words, const train::Registries& registries) {
  const train::LoadedConfig loaded = train::load_train_config(words.config, home(), registries);
  train::check_paths(loaded, hub_cache());
  const plan::Plan plan = train::make_plan(loaded, place(), words.card, words.steps);
  const std::string text = words.json ? plan::plan_json(plan).dump(2) + "\n"
                                      : plan::plan_table(plan, columns_of(stdout, 120));
  std::fwrite(text.data(), 1, text.size(), stdout);
  return plan.fit.fits ? Exit::done : Exit::failed;
}

}  // namespace

void add_plan(CLI::App& app, const train::Registries& registries, Outcome& outcome) {
  CLI::App* command = app.add_subcommand(
      "plan", "Predict memory and speed of a config, on a GPU without one, and say what would fit");
  auto words = std::make_shared<PlanWords>();
  add_config_words(*command, words->config, "dataset_config.packing_length=4096");
  command
      ->add_option("--card", words->card,
                   train::planned_cards() + ". Without it: what lmms train takes here")
      ->type_name("CARD");
  command
      ->add_option("--steps", words->steps,
                   "Steps of the data to rehearse (8): the longest decides on memory")
      ->check(at_least(1))
      ->type_name("N");
  command->add_flag("--json", words->json, "One JSON object instead of a table");
  command->footer(
      "\nChecks config, model, tokenizer and data as lmms train does, and rehearses the first "
      "steps "
      "without their memory; on the CPU short ones also run, for their time. Exit codes: 0 it "
      "fits, "
      "1 it does not, 2 bad config or data.");
  command->callback([words, &registries, &outcome] { outcome.exit = run(*words, registries); });
}

}  // namespace lmms::app
