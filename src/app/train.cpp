#include <csignal>
#include <memory>
#include <string>
#include <vector>

#include "app/commands.h"
#include "app/environment.h"
#include "app/usage.h"
#include "core/log.h"
#include "train/config.h"
#include "train/runner.h"

namespace lmms::app {

void add_train(CLI::App& app, const train::Registries& registries, Outcome& outcome) {
  CLI::App* command = app.add_subcommand(
      "train", "Train a model as a config says; the same command goes on after a stop");
  auto words = std::make_shared<std::vector<std::string>>();
  add_config_words(*command, *words, "trainer_args.learning_rate=1e-5");
  auto quiet = std::make_shared<bool>(false);
  command->add_flag("-q,--quiet", *quiet,
                    "Show warnings, errors and the last line alone; output_dir/train.log has all");
  command->footer([] { return "\nKeys of the config:\n" + train::describe_fields(""); });
  command->callback([words, quiet, &registries, &outcome] {
    if (*quiet) log::show_from(log::Level::warning);
    // `| tee log` that was ended, a closed window: no reason to lose a run.
    std::signal(SIGPIPE, SIG_IGN);
    refuse_many_ranks();
    const train::LoadedConfig loaded = train::load_train_config(*words, home(), registries);
    const train::Place here = place();
    train::check_paths(loaded, here.hub_cache);
    outcome.exit = train::train(loaded, here);
  });
}

}  // namespace lmms::app
