#include "core/config/overrides.h"

#include <algorithm>

#include "core/config/yaml.h"
#include "core/format.h"

namespace lmms::config {
namespace {

constexpr const char* kSource = "command line";

/// Hydra's `{path:/p,data_type:json}` in YAML's spelling: a space after the first colon of each
/// key.
std::string spaced_colons(std::string_view text) {
  std::string out;
  std::string open;           // brackets not yet closed
  bool awaits_colon = false;  // inside a key of a map
  char quote = 0;
  for (char c : text) {
    out += c;
    if (quote != 0) {
      if (c == quote) quote = 0;
    } else if (c == '"' || c == '\'') {
      quote = c;
    } else if (c == '{' || c == '[') {
      open += c;
      awaits_colon = c == '{';
    } else if (c == '}' || c == ']') {
      if (!open.empty()) open.pop_back();
      awaits_colon = false;
    } else if (c == ',') {
      awaits_colon = !open.empty() && open.back() == '{';
    } else if (c == ':' && awaits_colon) {
      out += ' ';
      awaits_colon = false;
    }
  }
  return out;
}

std::vector<std::string> split_key(const std::string& key) {
  std::vector<std::string> parts;
  size_t begin = 0;
  while (true) {
    const size_t dot = key.find('.', begin);
    parts.push_back(key.substr(begin, dot - begin));
    if (dot == std::string::npos) return parts;
    begin = dot + 1;
  }
}

}  // namespace

Override parse_override(const std::string& text, int word, Faults& faults) {
  Override result;
  result.at = {std::make_shared<const std::string>(kSource), 0, word};
  result.value.at = result.at;
  std::string_view rest = text;
  const size_t equals = rest.find('=');
  if (rest.starts_with('~')) {
    result.kind = Override::Kind::remove;
    result.key = rest.substr(1);
    if (equals != std::string_view::npos)
      faults.add(result.at, "", fmt::format("'{}'; expected ~KEY without a value", text));
  } else {
    while (rest.starts_with('+')) rest.remove_prefix(1);
    const size_t at = rest.find('=');
    result.key = rest.substr(0, at);
    const std::string_view value = at == std::string_view::npos ? "" : rest.substr(at + 1);
    if (at == std::string_view::npos) {
      faults.add(result.at, "", fmt::format("'{}'; expected KEY=VALUE", text));
    } else if (value.empty()) {
      result.value = Node::scalar("", /*quoted=*/true);
      result.value.at = result.at;
    } else {
      const bool structured = value.starts_with('{') || value.starts_with('[');
      Faults syntax;
      result.value = parse_yaml(structured ? spaced_colons(value) : value, kSource, syntax, word);
      if (!syntax.empty()) {
        faults.add(result.at, result.key,
                   fmt::format("'{}' is no YAML; a text with any of {{}}[],:?!#&*%@` in it wants "
                               "quotes of its own",
                               value));
      }
    }
  }
  const std::vector<std::string> parts = split_key(result.key);
  if (std::any_of(parts.begin(), parts.end(),
                  [](const std::string& part) { return part.empty(); })) {
    faults.add(result.at, "",
               fmt::format("'{}'; expected a key like trainer_args.learning_rate", text));
    result.key.clear();
  }
  return result;
}

void apply_override(Node& root, const Override& override, Faults& faults) {
  constexpr size_t kMostParts = 32;
  if (override.key.empty()) return;
  const std::vector<std::string> parts = split_key(override.key);
  if (parts.size() > kMostParts) {
    faults.add(override.at, "",
               fmt::format("a key of {} parts; expected at most {}", parts.size(), kMostParts));
    return;
  }
  Node* node = &root;
  for (size_t i = 0; i < parts.size(); ++i) {
    const bool last = i + 1 == parts.size();
    if (node->kind == Node::Kind::list) {
      std::string list = parts[0];
      for (size_t p = 1; p < i; ++p) list += "." + parts[p];
      faults.add(
          override.at, override.key,
          fmt::format("a list is replaced whole; expected {}=[...] with all its elements", list));
      return;
    }
    if (node->kind != Node::Kind::map) {
      if (override.kind == Override::Kind::remove) return;
      *node = Node{};
      node->kind = Node::Kind::map;
      node->at = override.at;
    }
    Entry* entry = node->find(parts[i]);
    if (last && override.kind == Override::Kind::remove) {
      std::erase_if(node->entries, [&](const Entry& e) { return e.key == parts[i]; });
      return;
    }
    if (!entry) {
      if (override.kind == Override::Kind::remove) return;
      node->entries.push_back({parts[i], override.at, {}});
      entry = &node->entries.back();
      entry->value.at = override.at;
    }
    if (last) {
      entry->at = override.at;
      if (entry->value.kind == Node::Kind::map && override.value.kind == Node::Kind::map) {
        merge(entry->value, override.value);
      } else {
        entry->value = override.value;
      }
    }
    node = &entry->value;
  }
}

void merge(Node& base, Node over) {
  if (base.kind != Node::Kind::map || over.kind != Node::Kind::map) {
    base = std::move(over);
    return;
  }
  for (Entry& entry : over.entries) {
    if (Entry* known = base.find(entry.key)) {
      known->at = entry.at;
      merge(known->value, std::move(entry.value));
    } else {
      base.entries.push_back(std::move(entry));
    }
  }
}

}  // namespace lmms::config
