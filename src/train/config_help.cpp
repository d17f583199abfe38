#include "train/config_help.h"

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include "core/error.h"
#include "core/format.h"
#include "core/nearest.h"
#include "core/text_table.h"
#include "train/config.h"
#include "train/registries.h"

namespace lmms::train {
namespace {

using config::FieldText;
using config::Meaning;
using config::Name;

/// The longest front of a key counts.
constexpr std::array<std::pair<std::string_view, std::string_view>, 29> kPages = {{
    {"", "docs/guide/config.md"},
    {"compat", "docs/guide/config.md#where-we-differ-from-the-python-project"},
    {"dataset_config", "docs/guide/data.md"},
    {"dataset_config.datasets", "docs/guide/data.md#mixtures"},
    {"dataset_config.shuffle", "docs/guide/data.md#order"},
    {"dataset_config.packing", "docs/guide/data.md#packing"},
    {"dataset_config.on_", "docs/guide/data.md#what-is-skipped-and-what-is-not"},
    {"dataset_config.on_changed_data", "docs/guide/checkpoints.md#going-on"},
    {"dataset_config.video", "docs/guide/media.md"},
    {"dataset_config.fps", "docs/guide/media.md"},
    {"dataset_config.frame_num", "docs/guide/media.md"},
    {"dataset_config.processor_config.extra_kwargs", "docs/guide/media.md"},
    {"model_config", "docs/guide/checkpoints.md"},
    {"trainer_args", "docs/guide/training.md"},
    {"trainer_args.save_", "docs/guide/checkpoints.md"},
    {"trainer_args.resume_from_checkpoint", "docs/guide/checkpoints.md"},
    {"trainer_args.output_dir", "docs/guide/checkpoints.md"},
    {"trainer_args.gradient_checkpointing", "docs/guide/planning.md#gradient_checkpointing"},
    {"trainer_args.master_weights", "docs/guide/training.md#batches-and-memory"},
    {"trainer_args.enable_profiler", "docs/guide/planning.md#where-the-time-goes"},
    {"trainer_args.profiler_config", "docs/guide/planning.md#where-the-time-goes"},
    {"trainer_args.eval_sample", "docs/guide/image-diffusion.md#samples-during-training"},
    {"trainer_args.eval_generate", "docs/guide/generation.md#answers-during-training"},
    {"trainer_args.deepspeed", "docs/guide/config.md#deepspeed"},
    {"trainer_args.report_to", "docs/guide/report.md"},
    {"trainer_args.run_name", "docs/guide/report.md"},
    {"trainer_args.dataloader_", "docs/guide/data.md#speed"},
    {"monkey_patch", "docs/guide/config.md"},
    {"plugins", "docs/guide/plugins.md"},
}};

std::string_view last_part(std::string_view key) {
  const size_t dot = key.rfind('.');
  return dot == std::string_view::npos ? key : key.substr(dot + 1);
}

/// What a person may have typed of a key: dashes of an option, a value, a number of a list.
std::string bare_key(std::string_view word) {
  std::string key(word.substr(0, word.find('=')));
  key.erase(0, std::min(key.find_first_not_of("-+~"), key.size()));
  for (size_t open = key.find('['); open != std::string::npos; open = key.find('[', open + 2)) {
    const size_t close = key.find(']', open);
    if (close == std::string::npos) break;
    key.erase(open + 1, close - open - 1);  // learning_rates[0] is learning_rates[]
  }
  return key;
}

std::string without_brackets(std::string key) {
  for (size_t at = key.find("[]"); at != std::string::npos; at = key.find("[]")) key.erase(at, 2);
  return key;
}

bool has_spelling(const FieldText& text, std::string_view part) {
  return last_part(text.key) == part ||
         std::find(text.aliases.begin(), text.aliases.end(), part) != text.aliases.end();
}

/// The keys that a word names: by its whole name, else by its end.
std::vector<const FieldText*> named(const std::vector<FieldText>& all, const std::string& word) {
  std::vector<const FieldText*> found;
  for (const FieldText& text : all) {
    const bool whole = text.key == word || without_brackets(text.key) == without_brackets(word);
    if (whole) return {&text};
  }
  const std::string_view part = last_part(word);
  const std::string section = word.substr(0, word.size() - part.size());  // with its dot
  for (const FieldText& text : all) {
    if (!has_spelling(text, part)) continue;
    const std::string holder =
        without_brackets(text.key.substr(0, text.key.size() - last_part(text.key).size()));
    if (section.empty() || holder.ends_with(without_brackets(section))) found.push_back(&text);
  }
  std::stable_sort(found.begin(), found.end(), [](const FieldText* a, const FieldText* b) {
    return a->meaning == Meaning::plain && b->meaning != Meaning::plain;
  });
  return found;
}

/// A value to show how a key is written.
std::string example_value(const FieldText& text) {
  if (text.is_section) return text.type.find("list") != std::string::npos ? "[...]" : "{...}";
  if (!text.preset.empty() && text.preset != "null" && text.preset != "[]" && text.preset != "\"\"")
    return text.preset;
  for (const Name& name : text.values) {
    if (name.built == config::Built::built) return std::string(name.name);
  }
  return text.is_path ? "PATH" : "VALUE";
}

/// "trainer_args: {learning_rate: 5e-05}", maps and lists as they nest.
std::string in_the_file(const FieldText& text) {
  std::string line, ends;
  std::string_view rest = text.key;
  while (true) {
    const size_t dot = rest.find('.');
    std::string_view part = rest.substr(0, dot);
    if (dot == std::string_view::npos) {
      return line + fmt::format("{}: {}{}", part, example_value(text), ends);
    }
    const bool list = part.ends_with("[]");
    if (list) part.remove_suffix(2);
    line += fmt::format("{}: {}", part, list ? "[{" : "{");
    ends.insert(0, list ? "}]" : "}");
    rest.remove_prefix(dot + 1);
  }
}

/// A text by itself, where the names of a table would begin.
std::string indented(const std::string& help, int width) {
  std::string table = render_table({{"", help}}, width);  // three columns in front of it
  for (size_t at = 0; at < table.size(); at = table.find('\n', at) + 1) table.erase(at, 1);
  return table;
}

bool tells(const Name& name) {
  return !name.help.empty();
}

/// The names of a key with what they mean, those that are not built yet behind.
std::string values_text(const FieldText& text, int width) {
  TableRows rows;
  std::string later;
  for (const Name& name : text.values) {
    if (name.built == config::Built::built) {
      rows.emplace_back("  " + std::string(name.name), std::string(name.help));
    } else {
      later += (later.empty() ? "" : ", ") + std::string(name.name);
    }
  }
  if (std::none_of(text.values.begin(), text.values.end(), tells)) return "";
  std::string out = "\n  values\n" + render_table(rows, width);
  if (!later.empty()) out += render_table({{"  not built yet", later}}, width);
  return out;
}

std::string children_text(const std::vector<FieldText>& all, const FieldText& section, int width) {
  TableRows rows;
  for (const FieldText& text : all) {
    const bool inside =
        text.key.starts_with(section.key + ".") || text.key.starts_with(section.key + "[].");
    const size_t front = section.key.size() + (text.key[section.key.size()] == '[' ? 3 : 1);
    if (!inside || text.meaning != Meaning::plain || text.key.find('.', front) != std::string::npos)
      continue;
    rows.emplace_back("  " + text.key.substr(front), text.help);
  }
  return "\n  its keys\n" + render_table(rows, width);
}

std::string entry_text(const std::vector<FieldText>& all, const FieldText& text, int width) {
  std::string out = text.key + "\n" + indented(text.help, width) + "\n";
  TableRows rows;
  const std::string kind = config::meaning_text(text.meaning);
  if (!kind.empty()) rows.emplace_back("here", kind);
  const bool explained = std::any_of(text.values.begin(), text.values.end(), tells);
  rows.emplace_back("type", explained ? "one of the values below" : text.type);
  if (text.is_required) rows.emplace_back("default", "none: it must be given");
  if (!text.preset.empty()) rows.emplace_back("default", text.preset);
  std::string spelled;
  for (const std::string& alias : text.aliases) spelled += (spelled.empty() ? "" : ", ") + alias;
  if (!spelled.empty()) rows.emplace_back("also spelled", spelled);
  rows.emplace_back("in the file", in_the_file(text));
  const size_t list = text.key.find("[]");
  rows.emplace_back("command line",
                    list == std::string::npos
                        ? text.key + "=" + example_value(text)
                        : text.key.substr(0, list) + "=[{...}]: a list is given whole");
  rows.emplace_back("guide", std::string(guide_page(text.key)));
  out += render_table(rows, width);
  if (text.is_section) return out + children_text(all, text, width);
  return out + values_text(text, width);
}

/// The keys that take a name, as `cosine` or `qwen3_vl`.
std::string name_text(const std::vector<FieldText>& all, const std::string& word, int width) {
  TableRows rows;
  for (const FieldText& text : all) {
    for (const Name& name : text.values) {
      if (name.name != word || word == "true" || word == "false") continue;
      std::string help(name.help);
      if (name.built == config::Built::later) help = "not built yet: " + help;
      rows.emplace_back(fmt::format("{}: {}", text.key, word), help.empty() ? text.help : help);
    }
  }
  for (const Name& later : not_built_names()) {
    const std::string_view name = later.name;
    const bool fits =
        name.ends_with('*') ? word.starts_with(name.substr(0, name.size() - 1)) : word == name;
    if (fits) rows.emplace_back(word, fmt::format("not built yet: {}", later.help));
  }
  return rows.empty() ? "" : render_table(rows, width);
}

Error nothing_found(const std::vector<FieldText>& all, const std::string& word,
                    std::span<const std::string> commands) {
  std::vector<std::string> candidates(commands.begin(), commands.end());
  std::vector<std::string> holding;  // keys that have the word inside
  for (const FieldText& text : all) {
    candidates.emplace_back(last_part(text.key));
    candidates.push_back(text.key);
    for (const std::string& alias : text.aliases) candidates.push_back(alias);
    for (const Name& name : text.values) candidates.emplace_back(name.name);
    if (!word.empty() && text.meaning == Meaning::plain && text.key.find(word) != std::string::npos)
      holding.push_back(text.key);
  }
  std::string near;
  constexpr size_t kLongestWord = 80;
  if (word.size() > kLongestWord) candidates.clear();
  if (const auto name = nearest_name(word, candidates))
    near = fmt::format("; did you mean '{}'?", *name);
  std::string fix = "lmms help --all lists every key, lmms help every command";
  if (!holding.empty()) {
    constexpr size_t kMost = 6;
    fix = "keys with it in their name: ";
    for (size_t i = 0; i < std::min(kMost, holding.size()); ++i)
      fix += (i == 0 ? "" : ", ") + holding[i];
    if (holding.size() > kMost) fix += fmt::format(" and {} more", holding.size() - kMost);
  }
  return {"lmms help", fmt::format("there is no command, key or name '{}'{}", word, near), fix};
}

}  // namespace

std::vector<FieldText> config_keys(const Registries& registries) {
  TrainConfig preset;
  config::Fields list;
  fields(list, preset);
  const config::MoreNames more = names_of_plugins(registries);
  return config::field_texts(list, "", &more);
}

std::string_view guide_page(std::string_view key) {
  std::string_view page, front;
  for (const auto& [prefix, where] : kPages) {
    if (!key.starts_with(prefix) || (!page.empty() && prefix.size() <= front.size())) continue;
    front = prefix;
    page = where;
  }
  return page;
}

std::string explain_word(std::string_view given, std::span<const std::string> commands, int width,
                         const Registries& registries) {
  const std::vector<FieldText> all = config_keys(registries);
  const std::string word = bare_key(given);
  const std::vector<const FieldText*> found = named(all, word);
  constexpr size_t kMostWhole = 3;
  if (found.size() > kMostWhole) {
    TableRows rows;
    for (const FieldText* text : found) rows.emplace_back(text->key, text->help);
    return fmt::format("{} keys are called so:\n\n", found.size()) + render_table(rows, width) +
           "\nlmms help with one of these names says more.\n";
  }
  std::string out;
  for (const FieldText* text : found)
    out += (out.empty() ? "" : "\n") + entry_text(all, *text, width);
  if (out.empty()) out = name_text(all, word, width);
  if (out.empty()) throw nothing_found(all, word, commands);
  return out;
}

std::string list_keys(int width) {
  TableRows rows;
  for (const FieldText& text : config_keys()) {
    if (text.meaning != Meaning::plain) continue;
    std::string value = text.help;
    if (!text.is_section) {
      value += text.is_required                               ? " (required)"
               : text.preset.empty() || text.preset == "null" ? ""
                                                              : fmt::format(" ({})", text.preset);
    }
    rows.emplace_back(text.key, value);
  }
  return render_table(rows, width);
}

}  // namespace lmms::train
