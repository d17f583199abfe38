#pragma once
/// Words for a shell to complete: sub-commands, options, files, keys of the config and their
/// values, taken from the tables that the program itself uses.
#include <CLI/CLI.hpp>
#include <string>
#include <vector>

#include "core/config/schema.h"

namespace lmms::app {

/// What may stand where a word is completed.
enum class Word { nothing, file, folder, config, key, card, topic, choice };

struct CompletedOption {
  std::vector<std::string> names;  ///< "--html"
  std::string help;
  bool has_value = false;
  Word value = Word::nothing;
};

struct CompletedCommand {
  std::string name, help;
  std::vector<CompletedOption> options;
  Word first = Word::nothing, later = Word::nothing;  ///< its words that are no options
  std::vector<std::string> choices;                   ///< of Word::choice
};

struct CompletedKey {
  std::string key, help;
  std::vector<std::string> values;
  bool is_path = false;
};

/// All that a shell is told.
struct Completion {
  std::vector<CompletedCommand> commands;
  std::vector<CompletedKey> keys;  ///< those that a command line can set
  std::vector<std::string> cards;
};

/// From a program's commands and the keys of its config.
Completion completion_of(const CLI::App& app, const std::vector<config::FieldText>& keys,
                         const std::vector<std::string>& cards);

/// What the scripts call it: "file", "config"; "choice:", which the choices follow.
const char* name_of(Word word);

std::string joined(const std::vector<std::string>& words, const char* between = " ");

/// Scripts that need no program to complete.
std::string bash_completion(const Completion& completion);
std::string zsh_completion(const Completion& completion);

}  // namespace lmms::app
