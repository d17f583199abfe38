#include "app/usage.h"

#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <vector>

#include "app/environment.h"
#include "core/error.h"
#include "core/format.h"
#include "core/home.h"
#include "core/nearest.h"
#include "core/terminal.h"
#include "train/plugins.h"

namespace lmms::app {

std::vector<std::string> command_names(const CLI::App& app) {
  std::vector<std::string> names;
  for (const CLI::App* command : app.get_subcommands([](const CLI::App*) { return true; }))
    names.push_back(command->get_name());
  return names;
}

namespace {

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
  std::string places, first;  // "CONFIG [key=value ...]"
  for (const CLI::Option* option : command.get_options()) {
    if (!option->get_positional()) continue;
    places += " " + option->get_type_name();
    if (first.empty() && option->get_required() && option->count() == 0)
      first = option->get_type_name();
  }
  if (first.empty()) return "";
  return fault_text(where, first.substr(0, first.find(' ')) + " is missing", where + places);
}

}  // namespace

std::string explain(const CLI::App& app, const CLI::ParseError& error,
                    std::span<const std::string> words) {
  const auto chosen = app.get_subcommands();  // of this command line
  if (chosen.empty()) {
    const std::string word = words.empty() ? "" : words.front();
    if (is_option(word)) return unknown_option(app, "lmms", word);
    const auto names = command_names(app);
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

void add_plugin_option(CLI::App& command, train::Registries& registries) {
  // Options are read in the order of their addition, all of them before the callback.
  command
      .add_option_function<std::vector<std::string>>(
          "--plugin",
          [&registries](const std::vector<std::string>& paths) {
            for (const std::string& path : paths)
              train::load_plugin(expand_home(path, home()).take(), "--plugin", registries);
          },
          "A shared library that adds models, processors and more, as plugins: of a config does; "
          "may be given again")
      ->allow_extra_args(false)
      ->type_name("FILE");
}

CLI::Validator at_least(double least) {
  return number_check(least, true, fmt::format("a number >= {:g}", least));
}

CLI::Validator above(double bound) {
  return number_check(bound, false, fmt::format("a number > {:g}", bound));
}

namespace {

/// A line of help, the texts of options under each other.
std::string wrapped(const std::string& line, size_t columns) {
  constexpr size_t kTexts = 30;  // CLI11's column of texts
  const size_t own = std::min(line.find_first_not_of(' '), line.size());
  const bool option = own > 0 && own < kTexts && line.size() > kTexts && line[kTexts - 1] == ' ';
  const size_t indent = option ? kTexts : own;
  std::string out;
  for (size_t begin = 0; begin < line.size();) {
    const size_t room = columns - (begin == 0 ? 0 : indent);
    size_t length = std::min(room, line.size() - begin);
    if (begin + length < line.size()) {
      const size_t space = line.rfind(' ', begin + length);
      const size_t least = begin == 0 ? indent : begin;
      if (space != std::string::npos && space > least) length = space - begin;
    }
    out += (begin == 0 ? "" : "\n" + std::string(indent, ' ')) + line.substr(begin, length);
    begin += length;
    while (begin < line.size() && line[begin] == ' ') ++begin;
  }
  return out;
}

}  // namespace

std::string HelpFormatter::make_help(const CLI::App* command, std::string name,
                                     CLI::AppFormatMode mode) const {
  std::string text = Formatter::make_help(command, std::move(name), mode);
  const int columns = terminal_columns(STDOUT_FILENO, 0);
  if (columns < 40) return text;
  std::string out;
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = std::min(text.find('\n', begin), text.size());
    out += wrapped(text.substr(begin, end - begin), static_cast<size_t>(columns)) + "\n";
    begin = end + 1;
  }
  return out;
}

std::string HelpFormatter::make_usage(const CLI::App* command, std::string name) const {
  std::string line = "Usage: " + name;
  std::string places;
  for (const CLI::Option* option : command->get_options()) {
    if (option->get_positional()) places += " " + option->get_type_name();
  }
  line += places + " [OPTIONS]";
  if (!command_names(*command).empty()) line += " COMMAND";
  return line + "\n";
}

std::string HelpFormatter::make_option_name(const CLI::Option* option, bool positional) const {
  return positional ? option->get_type_name() : Formatter::make_option_name(option, positional);
}

std::string HelpFormatter::make_option_opts(const CLI::Option* option) const {
  return option->get_positional() ? "" : Formatter::make_option_opts(option);
}

}  // namespace lmms::app
