#include <algorithm>
#include <filesystem>

#include "core/config/overrides.h"
#include "core/config/schema.h"
#include "core/config/yaml.h"
#include "core/error.h"
#include "core/files.h"
#include "core/format.h"
#include "core/home.h"
#include "core/nearest.h"
#include "train/config.h"
#include "train/config_validate.h"
#include "train/plugins.h"
#include "train/registries.h"

namespace lmms::train {

using config::Entry;
using config::Faults;
using config::Node;

namespace {

/// The words of the command line, told apart.
struct Words {
  std::string file;
  std::vector<config::Override> overrides;
};

/// profile=true is short for the trainer's key.
std::string in_full(const std::string& word) {
  constexpr std::string_view kShort = "profile=";
  if (!word.starts_with(kShort)) return word;
  return "trainer_args.enable_profiler=" + word.substr(kShort.size());
}

Words sort_words(std::span<const std::string> words, const std::string& home, Faults& faults) {
  constexpr std::string_view kFileKey = "config_yaml=";
  Words sorted;
  for (size_t i = 0; i < words.size(); ++i) {
    const int number = static_cast<int>(i) + 1;
    std::string_view word = words[i];
    if (word.starts_with('+') && word.substr(word.find_first_not_of('+')).starts_with(kFileKey)) {
      word.remove_prefix(word.find_first_not_of('+'));
    }
    const bool named = word.starts_with(kFileKey);
    const bool removes = word.starts_with('~') && !word.starts_with("~/");
    if (!named && (removes || word.find('=') != std::string_view::npos)) {
      sorted.overrides.push_back(config::parse_override(in_full(words[i]), number, faults));
      continue;
    }
    if (named) word.remove_prefix(kFileKey.size());
    const config::Position at{std::make_shared<const std::string>("command line"), 0, number};
    if (word.empty()) {
      faults.add(at, "", "config_yaml= names no file");
    } else if (!sorted.file.empty()) {
      faults.add(
          at, "",
          fmt::format("'{}' is a second config after '{}'; expected one, and words KEY=VALUE", word,
                      sorted.file));
    } else if (Result<std::string> path = expand_home(std::string(word), home)) {
      sorted.file = *std::move(path);
    } else {
      faults.add(at, "", path.fault().what);
    }
  }
  return sorted;
}

/// The Python project keeps packing_kwargs under extra_kwargs.
void move_packing_kwargs(Node& root, Faults& faults) {
  Entry* data = root.find("dataset_config");
  Entry* extra = data ? data->value.find("extra_kwargs") : nullptr;
  Entry* packing = extra ? extra->value.find("packing_kwargs") : nullptr;
  if (!packing) return;
  Entry moved = *packing;
  std::erase_if(extra->value.entries,
                [](const Entry& entry) { return entry.key == "packing_kwargs"; });
  if (data->value.find("packing_kwargs")) {
    faults.add(moved.at, "dataset_config.extra_kwargs.packing_kwargs",
               "given twice, also as dataset_config.packing_kwargs");
  } else {
    data->value.entries.push_back(std::move(moved));
  }
}

/// Files before the sections: a list of one task, its training arguments beside the sections.
///
///   - type: trainer
///     config: {trainer_type: ..., dataset_config: ..., model_config: ..., learning_rate: ...}
///
/// Turns it into a map; what is no section goes into trainer_args. False if the list is something
/// else.
bool unfold_task_list(Node& root) {
  if (root.kind != Node::Kind::list || root.items.size() != 1) return false;
  const Entry* type = root.items[0].find("type");
  if (!type) type = root.items[0].find("task_type");
  const Entry* task = root.items[0].find("config");
  if (!type || type->value.text != "trainer" || !task || task->value.kind != Node::Kind::map)
    return false;
  TrainConfig preset;
  config::Fields sections;
  fields(sections, preset);
  Node map;
  map.kind = Node::Kind::map;
  map.at = root.at;
  Node arguments = map;
  for (const Entry& entry : task->value.entries) {
    Node& target = sections.find(entry.key) ? map : arguments;
    target.entries.push_back(entry);
  }
  if (Entry* given = map.find("trainer_args")) {
    config::merge(given->value, std::move(arguments));
  } else {
    map.entries.push_back({"trainer_args", root.at, std::move(arguments)});
  }
  root = std::move(map);
  return true;
}

Node read_root(const std::string& file, Faults& faults) {
  if (file.empty()) {
    Node root;
    root.kind = Node::Kind::map;
    return root;
  }
  const Result<std::string> text = read_file(file);
  if (!text) {
    Fault fault = text.fault();
    std::error_code none;
    if (!std::filesystem::exists(file, none)) {
      const auto near = nearest_path(file);
      fault.fix = near ? fmt::format("did you mean '{}'?", *near)
                       : "give the config (a YAML file) first, then KEY=VALUE words";
    } else if (std::filesystem::is_directory(file, none)) {
      fault.fix = "give a config, such as the config.resolved.yaml of a run";
    }
    throw Error(fault);
  }
  Node root = config::parse_yaml(*text, file, faults);
  faults.throw_if_any();
  if (!unfold_task_list(root) && root.kind != Node::Kind::map) {
    faults.add(
        root.at, "",
        fmt::format("got {}; expected a map with dataset_config, model_config and trainer_args",
                    config::describe(root)));
  }
  faults.throw_if_any();
  return root;
}

/// `registries` with what the plugins of the tree add; null: it names none, or not as it should,
/// which the reader says.
std::shared_ptr<const Registries> open_plugins(const Node& root, const std::string& home,
                                               const Registries& registries) {
  const Entry* entry = root.find("plugins");
  if (entry == nullptr) return nullptr;
  Node alone;
  alone.kind = Node::Kind::map;
  alone.entries.push_back(*entry);
  std::vector<std::string> paths;
  config::Fields list;
  list("plugins", paths, "", config::Rule().single_or_list().or_null().path());
  Faults faults;
  config::Record record = config::read_config(alone, list, faults, {.home = home, .later = {}});
  if (!faults.empty() || paths.empty()) return nullptr;
  auto more = std::make_shared<Registries>(registries);
  for (size_t i = 0; i < paths.size(); ++i) {
    const std::string key = fmt::format("plugins[{}]", i);
    const config::Position& at = Places(record.given_at).of(key);
    load_plugin(paths[i], fmt::format("{}: {}", at.text(), key), *more);
  }
  return more;
}

/// What the reader knows of a plugin's processor.
void set_form(data::ProcessorConfig& processor, const Registries& registries) {
  if (data::processor_form(processor.processor_type)) return;
  if (const auto* entry = registries.processors.find(processor.processor_type))
    processor.form = entry->form;
}

/// One notice for all keys that mean nothing here; with their reasons while they are few.
std::string ignored_notice(const std::vector<std::string>& ignored) {
  constexpr size_t kMostWithReasons = 6;
  std::string out = "no meaning here: ";
  for (size_t i = 0; i < ignored.size(); ++i) {
    const std::string& key = ignored[i];
    out += (i == 0 ? "" : ", ") +
           (ignored.size() > kMostWithReasons ? key.substr(0, key.find(" (")) : key);
  }
  if (ignored.size() > kMostWithReasons) out += "; lmms train --help says why";
  return out;
}

}  // namespace

std::string LoadedConfig::where(const std::string& key) const {
  const auto found = given_at.find(key);
  return found == given_at.end() ? key : found->second.text() + ": " + key;
}

LoadedConfig load_train_config(std::span<const std::string> words, const std::string& home,
                               const Registries& own) {
  Faults faults;
  const Words sorted = sort_words(words, home, faults);
  if (sorted.file.empty()) faults.throw_if_any();
  if (sorted.file.empty() && sorted.overrides.empty()) {
    throw Error("", "no config", "lmms train CONFIG.yaml [KEY=VALUE ...]");
  }
  Node root = read_root(sorted.file, faults);
  for (const config::Override& word : sorted.overrides) config::apply_override(root, word, faults);
  move_packing_kwargs(root, faults);

  LoadedConfig loaded;
  loaded.with_plugins = open_plugins(root, home, own);
  const Registries& registries = loaded.with_plugins ? *loaded.with_plugins : own;
  loaded.registries = &registries;
  loaded.file = sorted.file;
  config::Fields list;
  fields(list, loaded.config);
  const config::MoreNames more = names_of_plugins(registries);
  const config::Record record = config::read_config(
      root, list, faults, {.home = home, .later = not_built_names(), .more_names = &more});
  set_form(loaded.config.dataset.processor, registries);
  loaded.given_at = record.given_at;
  loaded.given_at.emplace("", root.at);
  validate(loaded.config, Places(loaded.given_at), registries, faults);
  faults.throw_if_any();
  if (!record.ignored.empty()) loaded.notices.push_back(ignored_notice(record.ignored));
  const std::vector<IdleKey> idle = idle_keys(loaded.config, Given(record), registries);
  if (!idle.empty()) loaded.notices.push_back(idle_notice(idle));
  for (std::string& sentence : advice(loaded.config, registries))
    loaded.notices.push_back(std::move(sentence));
  TrainerArgs& args = loaded.config.trainer;
  if (args.data_seed) loaded.config.dataset.data_seed = *args.data_seed;
  if (args.save_total_limit && *args.save_total_limit <= 0) args.save_total_limit.reset();
  loaded.config.dataset.home = home;
  return loaded;
}

std::string write_resolved(const TrainConfig& config) {
  TrainConfig copy = config;
  config::Fields list;
  fields(list, copy);
  return config::write_yaml(config::write_config(list));
}

std::vector<std::string> diff_from_defaults(const TrainConfig& config) {
  TrainConfig copy = config;
  TrainConfig preset;
  config::Fields list;
  config::Fields presets;
  fields(list, copy);
  fields(presets, preset);
  return config::differences(list, presets);
}

std::string describe_fields(const std::string& section) {
  TrainConfig preset;
  config::Fields list;
  fields(list, preset);
  return config::help_text(config::field_texts(list, section));
}

std::string fields_as_markdown() {
  TrainConfig preset;
  config::Fields list;
  fields(list, preset);
  return config::markdown_tables(config::field_texts(list));
}

}  // namespace lmms::train
