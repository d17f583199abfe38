#include "core/config/schema.h"

#include <algorithm>
#include <optional>

#include "core/config/yaml.h"
#include "core/format.h"
#include "core/nearest.h"

namespace lmms::config {
namespace {

/// Faults that get a nearest name; no more are shown anyway, and a file of garbage has thousands.
constexpr size_t kMostSuggested = 100;

std::string join(const std::string& section, std::string_view key) {
  return section.empty() ? std::string(key) : section + "." + std::string(key);
}

std::string joined(const std::vector<std::string>& parts, const char* between) {
  std::string out;
  for (const std::string& part : parts) out += (out.empty() ? "" : between) + part;
  return out;
}

/// Every "section.key" whose last part is `key`.
void find_elsewhere(const Fields& fields, const std::string& section, std::string_view key,
                    std::vector<std::string>& found) {
  for (const Field& field : fields.all()) {
    if (field.name == key) found.push_back(join(section, field.name));
    if (field.binding)
      find_elsewhere(field.binding->children(), join(section, field.name), key, found);
  }
}

/// "unknown key; did you mean ...?"
std::string unknown_key(const std::string& key, const Fields& fields, const ReadContext& context) {
  if (context.faults.count() > kMostSuggested) return "unknown key";
  std::vector<std::string> known;
  for (const Field& field : fields.all()) {
    known.emplace_back(field.name);
    for (std::string_view alias : field.aliases) known.emplace_back(alias);
  }
  std::vector<std::string> elsewhere;
  if (context.record.root) find_elsewhere(*context.record.root, "", key, elsewhere);
  if (!elsewhere.empty())
    return fmt::format("unknown key here; did you mean '{}'?", elsewhere.front());
  if (const auto near = nearest_name(key, known))
    return fmt::format("unknown key; did you mean '{}'?", *near);
  if (known.size() <= 12) return "unknown key; expected one of " + joined(known, ", ");
  return "unknown key; lmms train --help lists all";
}

std::string yaml_of(const Node& node) {
  return is_null(node) ? "null" : write_flow(node);
}

/// True if the node means the same as one of the YAML texts.
bool is_among(const Node& node, const std::vector<std::string_view>& texts) {
  const Value given = to_value(node);
  return std::any_of(texts.begin(), texts.end(), [&](std::string_view text) {
    Faults none;
    return given == to_value(parse_yaml(text, "", none));
  });
}

/// True, or a fault, if only some values are built and this is none of them.
bool check_built(const Node& node, const Field& field, const std::string& key, Faults& faults) {
  const std::vector<std::string_view>& built = field.rule.built_only;
  if (built.empty() || is_among(node, built)) return true;
  faults.add_not_built(node.at, key, yaml_of(node), listed(built));
  return false;
}

void check_keys(const Node& node, const std::string& key, const Rule& rule, Faults& faults) {
  if (rule.known_keys.empty()) return;
  const std::vector<std::string> known(rule.known_keys.begin(), rule.known_keys.end());
  for (const Entry& entry : node.entries) {
    if (std::find(known.begin(), known.end(), entry.key) != known.end()) continue;
    if (faults.count() > kMostSuggested) {
      faults.add(entry.at, join(key, entry.key), "unknown key");
      continue;
    }
    const auto near = nearest_name(entry.key, known);
    faults.add(entry.at, join(key, entry.key),
               near ? fmt::format("unknown key; did you mean '{}'?", *near)
                    : fmt::format("unknown key; expected one of {}", joined(known, ", ")));
  }
}

/// null, false, or empty.
bool asks_for_nothing(const Node& node) {
  bool value = true;
  if (is_null(node) || (read_boolean(node, value) && !value)) return true;
  return node.text.empty() && node.items.empty() && node.entries.empty();
}

/// A key that no member holds: layout, ignored, unbuilt.
void read_loose(const Node& node, const Field& field, const ReadContext& context) {
  if (field.meaning == Meaning::ignored) {
    if (asks_for_nothing(node)) return;
    context.record.ignored.push_back(fmt::format("{} ({})", context.key, field.help));
    return;
  }
  if (!has_type(node, field.type)) return context.expected(node, type_name(field.type));
  if (!check_built(node, field, context.key, context.faults)) return;
  check_keys(node, context.key, field.rule, context.faults);
  if (field.meaning == Meaning::layout)
    field.kept->insert_or_assign(std::string(field.name), to_value(node));
}

void read_field(const Node& node, const Field& field, const ReadContext& context) {
  if (!field.binding) return read_loose(node, field, context);
  if (is_null(node) && field.rule.nullable) return;
  const size_t faults_before = context.faults.count();
  field.binding->read(node, context);
  if (context.faults.count() == faults_before)
    check_built(node, field, context.key, context.faults);
}

/// Remembers where the leaves of a value of free form stand.
void record_leaves(const Node& node, const std::string& key, Record& record) {
  for (const Entry& entry : node.entries) {
    record.given_at.emplace(join(key, entry.key), entry.at);
    record_leaves(entry.value, join(key, entry.key), record);
  }
  for (size_t i = 0; i < node.items.size(); ++i) {
    const std::string element = fmt::format("{}[{}]", key, i);
    record.given_at.emplace(element, node.items[i].at);
    record_leaves(node.items[i], element, record);
  }
}

}  // namespace

void ReadContext::expected(const Node& node, const std::string& wanted) const {
  faults.add(node.at, key, fmt::format("got {}; expected {}", describe(node), wanted));
}

void read_struct(const Node& node, Fields& fields, const ReadContext& context) {
  if (node.kind != Node::Kind::map && !is_null(node)) return context.expected(node, "a map");
  std::map<std::string_view, std::string> given;  // field -> the key that gave it
  for (const Entry& entry : node.entries) {
    const Field* field = fields.find(entry.key);
    if (!field) {
      context.faults.add(entry.at, join(context.key, entry.key),
                         unknown_key(entry.key, fields, context));
      continue;
    }
    const auto [first, is_new] = given.emplace(field->name, entry.key);
    if (!is_new) {
      context.faults.add(entry.at, join(context.key, entry.key),
                         fmt::format("given twice, also as '{}'; expected one", first->second));
      continue;
    }
    const std::string key = join(context.key, field->name);
    context.record.given_at.insert_or_assign(key, entry.at);
    record_leaves(entry.value, key, context.record);
    const ReadContext inner{key, field->rule, context.faults, context.record};
    read_field(entry.value, *field, inner);
  }
  for (const Field& field : fields.all()) {
    if (!field.rule.is_required || given.count(field.name) != 0) continue;
    const std::string type =
        field.binding ? field.binding->type(field.rule) : type_name(field.type);
    context.faults.add(node.at, join(context.key, field.name),
                       fmt::format("missing; expected {}", type));
  }
}

Node write_struct(const Fields& fields) {
  Node node;
  node.kind = Node::Kind::map;
  for (const Field& field : fields.all()) {
    const std::string name(field.name);
    if (field.binding) {
      Node value = field.binding->write();
      if (fields.omits_absent() && is_null(value)) continue;
      node.entries.push_back({name, {}, std::move(value)});
    } else if (field.kept) {
      const auto found = field.kept->find(name);
      if (found != field.kept->end()) node.entries.push_back({name, {}, to_node(found->second)});
    }
  }
  return node;
}

void read_free(const Node& node, Value& value, const ReadContext& context) {
  if (is_null(node)) {
    value = {};
    return;
  }
  // Hugging Face takes maps as JSON text too, because its command line has nothing else.
  if (node.kind == Node::Kind::scalar && node.text.starts_with('{')) {
    Node parsed = parse_yaml(node.text, node.at.source ? *node.at.source : "", context.faults);
    value = to_value(parsed);
    return;
  }
  if (node.kind != Node::Kind::map) return context.expected(node, "a map");
  check_keys(node, context.key, context.rule, context.faults);
  value = to_value(node);
}

Record read_config(const Node& root, Fields& fields, Faults& faults) {
  Record record;
  record.root = &fields;
  const Rule none;
  read_struct(root, fields, {"", none, faults, record});
  record.root = nullptr;
  return record;
}

Node write_config(const Fields& fields) {
  return write_struct(fields);
}

namespace {

void add_differences(const Node& node, const Node& preset, const std::string& key,
                     std::vector<std::string>& out) {
  if (node.kind == Node::Kind::map && preset.kind == Node::Kind::map) {
    for (const Entry& entry : node.entries) {
      const Entry* other = preset.find(entry.key);
      add_differences(entry.value, other ? other->value : Node{}, join(key, entry.key), out);
    }
  } else if (to_value(node) != to_value(preset)) {
    out.push_back(key + ": " + yaml_of(node));
  }
}

void add_texts(const Fields& fields, const std::string& section, std::vector<FieldText>& out) {
  for (const Field& field : fields.all()) {
    FieldText text;
    text.key = join(section, field.name);
    text.help = field.help;
    text.meaning = field.meaning;
    text.is_required = field.rule.is_required;
    for (std::string_view alias : field.aliases) text.aliases.emplace_back(alias);
    if (!field.binding) {
      text.type = type_name(field.type);
      out.push_back(std::move(text));
      continue;
    }
    const Fields children = field.binding->children();
    text.is_section = !children.all().empty();
    text.type = field.binding->type(field.rule);
    if (!text.is_section && !text.is_required) text.preset = yaml_of(field.binding->write());
    const std::string inner = text.key + (field.binding->is_list() ? "[]" : "");
    out.push_back(std::move(text));
    add_texts(children, inner, out);
  }
}

}  // namespace

std::vector<std::string> differences(const Fields& fields, const Fields& defaults) {
  std::vector<std::string> out;
  add_differences(write_config(fields), write_config(defaults), "", out);
  return out;
}

std::vector<FieldText> field_texts(const Fields& fields, const std::string& section) {
  std::vector<FieldText> all;
  add_texts(fields, "", all);
  std::erase_if(all, [&](const FieldText& text) {
    return !section.empty() && text.key != section && !text.key.starts_with(section + ".");
  });
  return all;
}

}  // namespace lmms::config
