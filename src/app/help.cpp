#include <algorithm>
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include "app/commands.h"
#include "app/environment.h"
#include "app/usage.h"
#include "train/config_help.h"

namespace lmms::app {

void add_help(CLI::App& app, train::Registries& registries, Outcome&) {
  CLI::App* command =
      app.add_subcommand("help", "Explain a command, a key of the config, or a name it takes");
  auto words = std::make_shared<std::vector<std::string>>();
  auto all = std::make_shared<bool>(false);
  command
      ->add_option("words", *words,
                   "train, packing_strategy, trainer_args.learning_rate, cosine, ...")
      ->type_name("[COMMAND or KEY ...]");
  command->add_flag("--all", *all, "Every key of the config, a line each");
  add_plugin_option(*command, registries);
  command->callback([words, all, &app, &registries] {
    const int width = columns_of(stdout, 100);
    std::string text = *all ? train::list_keys(width) : "";
    const std::vector<std::string> commands = command_names(app);
    for (const std::string& word : *words) {
      if (!text.empty()) text += "\n";
      const bool is_command = std::find(commands.begin(), commands.end(), word) != commands.end();
      text += is_command ? app.get_subcommand(word)->help("lmms")
                         : train::explain_word(word, commands, width, registries);
    }
    if (text.empty())
      text = app.get_formatter()->make_help(&app, "lmms", CLI::AppFormatMode::Normal);
    std::fwrite(text.data(), 1, text.size(), stdout);
  });
}

}  // namespace lmms::app
