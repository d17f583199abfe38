#include "app/completion.h"

#include <cstdio>
#include <memory>

#include "app/commands.h"
#include "app/usage.h"
#include "core/error.h"
#include "plan/card.h"
#include "train/config_help.h"

namespace lmms::app {
namespace {

/// What the name of a value (CONFIG, FILE.html, [DIR ...]) says of it.
Word word_of(const std::string& type) {
  const size_t begin = type.find_first_not_of('[');
  if (begin == std::string::npos) return Word::nothing;
  const std::string name = type.substr(begin, type.find_first_of(" .:]", begin) - begin);
  if (name.find('|') != std::string::npos) return Word::choice;
  if (name == "CONFIG") return Word::config;
  if (name == "FILE" || name == "DATA") return Word::file;
  if (name == "DIR" || name == "CHECKPOINT" || name == "MODEL") return Word::folder;
  if (name == "CARD") return Word::card;
  if (name == "COMMAND") return Word::topic;
  return Word::nothing;
}

std::vector<std::string> choices_of(const std::string& type) {
  std::vector<std::string> out;
  for (size_t begin = 0; begin <= type.size();) {
    const size_t end = std::min(type.find('|', begin), type.size());
    out.push_back(type.substr(begin, end - begin));
    begin = end + 1;
  }
  return out;
}

/// The first sentence of a help text.
std::string brief(const std::string& text) {
  std::string out = text.substr(0, text.find_first_of("\n;"));
  if (const size_t colon = out.find(": "); colon != std::string::npos) out.resize(colon);
  return out;
}

CompletedCommand command_of(const CLI::App& app) {
  CompletedCommand out;
  out.name = app.get_name();
  out.help = app.get_description();
  std::vector<std::string> places;
  for (const CLI::Option* option : app.get_options()) {
    if (option->get_positional()) {
      places.push_back(option->get_type_name());
      continue;
    }
    CompletedOption completed{{}, brief(option->get_description())};
    for (const std::string& name : option->get_snames()) completed.names.push_back("-" + name);
    for (const std::string& name : option->get_lnames()) completed.names.push_back("--" + name);
    completed.has_value = option->get_items_expected_max() > 0;
    if (completed.has_value) completed.value = word_of(option->get_type_name());
    out.options.push_back(std::move(completed));
  }
  if (places.empty()) return out;
  out.first = word_of(places.front());
  if (out.first == Word::choice) out.choices = choices_of(places.front());
  const bool takes_keys = places.back().find("key=value") != std::string::npos;
  const bool goes_on = places.back().find("...") != std::string::npos;
  if (takes_keys) {
    out.later = Word::key;
  } else if (places.size() > 1) {
    out.later = word_of(places.back());
  } else if (goes_on) {
    out.later = out.first;
  }
  return out;
}

}  // namespace

const char* name_of(Word word) {
  switch (word) {
    case Word::nothing:
      return "";
    case Word::file:
      return "file";
    case Word::folder:
      return "folder";
    case Word::config:
      return "config";
    case Word::key:
      return "key";
    case Word::card:
      return "card";
    case Word::topic:
      return "topic";
    case Word::choice:
      return "choice:";
  }
  return "";
}

std::string joined(const std::vector<std::string>& words, const char* between) {
  std::string out;
  for (const std::string& word : words) out += (out.empty() ? "" : between) + word;
  return out;
}

Completion completion_of(const CLI::App& app, const std::vector<config::FieldText>& keys,
                         const std::vector<std::string>& cards) {
  Completion out;
  out.cards = cards;
  for (const CLI::App* command : app.get_subcommands([](const CLI::App*) { return true; }))
    out.commands.push_back(command_of(*command));
  for (const config::FieldText& text : keys) {
    const bool settable = !text.is_section && text.key.find("[]") == std::string::npos;
    if (!settable || text.meaning != config::Meaning::plain) continue;
    CompletedKey key{text.key, text.help, {}, text.is_path};
    for (const config::Name& name : text.values) {
      if (name.built == config::Built::built) key.values.emplace_back(name.name);
    }
    out.keys.push_back(std::move(key));
  }
  return out;
}

void add_completion(CLI::App& app, train::Registries& registries, Outcome&) {
  CLI::App* command =
      app.add_subcommand("completion", "Print what lets a shell complete words of lmms");
  auto shell = std::make_shared<std::string>();
  command->add_option("shell", *shell, "The shell that is to read it")
      ->required()
      ->type_name("bash|zsh");
  command->footer(
      "\nFor this shell:       source <(lmms completion bash)\n"
      "For every later one:  lmms completion bash > "
      "~/.local/share/bash-completion/completions/lmms\n"
      "In zsh, a folder of $fpath, named before compinit:\n"
      "                      lmms completion zsh > ~/.zfunc/_lmms\n"
      "make install puts both where the shells look.");
  add_plugin_option(*command, registries);
  command->callback([shell, &app, &registries] {
    if (*shell != "bash" && *shell != "zsh") {
      throw Error("lmms completion", "got '" + *shell + "'; expected bash or zsh",
                  "lmms completion bash");
    }
    const Completion all = completion_of(app, train::config_keys(registries), plan::known_cards());
    const std::string text = *shell == "bash" ? bash_completion(all) : zsh_completion(all);
    std::fwrite(text.data(), 1, text.size(), stdout);
  });
}

}  // namespace lmms::app
