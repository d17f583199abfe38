#include "app/usage.h"

#include <cmath>
#include <cstdlib>
#include <vector>

#include "core/error.h"
#include "core/format.h"
#include "core/nearest.h"

namespace lmms::app {
namespace {

std::vector<std::string> commands_of(const CLI::App& app) {
  std::vector<std::string> names;
  for (const CLI::App* command : app.get_subcommands([](const CLI::App*) { return true; }))
    names.push_back(command->get_name());
  return names;
}

// --prompt, -n: every name of every option that is no positional.
std::vector<std::string> options_of(const CLI::App& command) {
  std::vector<std::string> names;
  for (const CLI::Option* option : command.get_options()) {
    for (const std::string& name : option->get_snames()) names.push_back("-" + name);
    for (const std::string& name : option->get_lnames()) names.push_back("--" + name);
  }
  return names;
}

bool is_option(const std::string& word) {
  return word.starts_with('-') && word.find_first_not_of('-') != std::string::npos;
}

std::string fault_text(const std::string& where, const std::string& what, const std::string& fix) {
  return Fault{where, what, fix}.text();
}

std::string unknown_option(const CLI::App& command, const std::string& where,
                           const std::string& word) {
  const std::string name = word.substr(0, word.find('='));
  const std::string bare = word.substr(word.find_first_not_of('-'));
  if (bare.find('=') != std::string::npos && bare.find('.') < bare.find('=')) {
    return fault_text(where, fmt::format("'{}' is no option", word),
                      fmt::format("keys of the config are given without dashes: {}", bare));
  }
  const auto near = nearest_name(name, options_of(command));
  return fault_text(where,
                    fmt::format("there is no option '{}'{}", name,
                                near ? fmt::format("; did you mean '{}'?", *near) : std::string()),
                    where + " --help lists all");
}

// The first word that no option and no place of the command takes; options first, since their
// values are left over too.
std::string left_over(const CLI::App& command, const std::string& where) {
  const std::vector<std::string> words = command.remaining(/*recurse=*/true);
  for (const std::string& word : words) {
    if (is_option(word)) return unknown_option(command, where, word);
  }
  return fault_text(where,
                    fmt::format("'{}' is a word too many", words.empty() ? "" : words.front()),
                    where + " --help says what may stand there");
}

std::string missing(const CLI::App& command, const std::string& where) {
  for (const CLI::Option* option : command.get_options()) {
    if (!option->get_required() || option->count() > 0) continue;
    const std::string wanted = option->get_type_name();  // CONFIG [key=value ...]
    return fault_text(where, wanted.substr(0, wanted.find(' ')) + " is missing",
                      fmt::format("{} {}", where, wanted));
  }
  return "";
}

}  // namespace

std::string explain(const CLI::App& app, const CLI::ParseError& error,
                    std::span<const std::string> words) {
  const auto chosen = app.get_subcommands();  // of this command line
  if (chosen.empty()) {
    const std::string word = words.empty() ? "" : words.front();
    if (is_option(word)) return unknown_option(app, "lmms", word);
    const auto names = commands_of(app);
    const auto near = nearest_name(word, names);
    return fault_text("lmms",
                      near
                          ? fmt::format("there is no command '{}'; did you mean '{}'?", word, *near)
                          : fmt::format("there is no command '{}'; expected one of {}", word,
                                        CLI::detail::join(names, ", ")),
                      "lmms --help says what each does");
  }
  const std::string where = "lmms " + chosen.front()->get_name();
  const auto is = [&](CLI::ExitCodes kind) {
    return error.get_exit_code() == static_cast<int>(kind);
  };
  if (is(CLI::ExitCodes::ExtrasError)) return left_over(*chosen.front(), where);
  if (is(CLI::ExitCodes::RequiredError)) {
    std::string text = missing(*chosen.front(), where);
    if (!text.empty()) return text;
  }
  return fault_text(where, error.what(), where + " --help");
}

namespace {

CLI::Validator number_check(double bound, bool itself, const std::string& words) {
  return CLI::Validator(
      [=](std::string& text) -> std::string {
        char* end = nullptr;
        const double value = std::strtod(text.c_str(), &end);
        const bool whole = end != text.c_str() && *end == '\0' && std::isfinite(value);
        if (whole && (value > bound || (itself && value == bound))) return "";
        return fmt::format("got '{}'; expected {}", text, words);
      },
      "");
}

}  // namespace

CLI::Option* add_config_words(CLI::App& command, std::vector<std::string>& words,
                              const std::string& help, const std::string& type_name) {
  CLI::Option* places = command.add_option("words", words, help)->type_name(type_name);
  // Its callback runs behind that of the words, which replaces them.
  command
      .add_option_function<std::string>(
          "--config",
          [&words, places](const std::string& file) {
            words.push_back("config_yaml=" + file);
            places->required(false);
          },
          "The config's file, instead of the word CONFIG")
      ->type_name("FILE");
  return places;
}

void add_config_words(CLI::App& command, std::vector<std::string>& words,
                      const std::string& example) {
  add_config_words(command, words, "CONFIG, and key=value over it (" + example + ")",
                   "CONFIG [key=value ...]")
      ->required();
}

CLI::Validator at_least(double least) {
  return number_check(least, true, fmt::format("a number >= {:g}", least));
}

CLI::Validator above(double bound) {
  return number_check(bound, false, fmt::format("a number > {:g}", bound));
}

std::string HelpFormatter::make_usage(const CLI::App* command, std::string name) const {
  std::string line = "Usage: " + name;
  std::string places;
  for (const CLI::Option* option : command->get_options()) {
    if (option->get_positional()) places += " " + option->get_type_name();
  }
  line += places + " [OPTIONS]";
  if (!commands_of(*command).empty()) line += " COMMAND";
  return line + "\n";
}

std::string HelpFormatter::make_option_name(const CLI::Option* option, bool positional) const {
  return positional ? option->get_type_name() : Formatter::make_option_name(option, positional);
}

std::string HelpFormatter::make_option_opts(const CLI::Option* option) const {
  return option->get_positional() ? "" : Formatter::make_option_opts(option);
}

}  // namespace lmms::app
