#pragma once
/// How the program explains its command line: help, and what is wrong with one it cannot read.
#include <CLI/CLI.hpp>
#include <span>
#include <string>
#include <vector>

namespace lmms::train {
struct Registries;
}

namespace lmms::app {

/// The sub-commands, in their order.
std::vector<std::string> command_names(const CLI::App& app);

/// "lmms generate: --promt: no such option; did you mean '--prompt'?", with a line that says where
/// help is. `words` are those that `app` was given.
std::string explain(const CLI::App& app, const CLI::ParseError& error,
                    std::span<const std::string> words);

/// The positional words of a command that takes a config, and `--config FILE`, which puts
/// `config_yaml=FILE` behind them. `words` must live as long as the command.
CLI::Option* add_config_words(CLI::App& command, std::vector<std::string>& words,
                              const std::string& help, const std::string& type_name);
/// The same for CONFIG and key=value over it, required.
void add_config_words(CLI::App& command, std::vector<std::string>& words,
                      const std::string& example);

/// `--plugin FILE` of a command that takes no config: its library adds to the registries before the
/// command's callback runs.
void add_plugin_option(CLI::App& command, train::Registries& registries);

/// Checks of an option's number, in words a person can read.
CLI::Validator at_least(double least);
CLI::Validator above(double bound);

/// Help that calls the words of a command what they are (CONFIG [key=value ...]).
class HelpFormatter : public CLI::Formatter {
 public:
  /// Within the columns of the terminal, where there is one.
  std::string make_help(const CLI::App* command, std::string name,
                        CLI::AppFormatMode mode) const override;
  std::string make_usage(const CLI::App* command, std::string name) const override;
  std::string make_option_name(const CLI::Option* option, bool positional) const override;
  std::string make_option_opts(const CLI::Option* option) const override;
};

}  // namespace lmms::app
