#include "core/config/schema.h"

#include <algorithm>
#include <optional>

#include "core/config/json_text.h"
#include "core/config/yaml.h"
#include "core/files.h"
#include "core/format.h"
#include "core/home.h"
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

/// For messages: the front of a long text.
std::string shortened(std::string text) {
  constexpr size_t kMostShown = 60;
  if (text.size() <= kMostShown) return text;
  size_t cut = kMostShown;
  while (cut > 0 && (static_cast<unsigned char>(text[cut]) & 0xC0) == 0x80)
    --cut;  // whole UTF-8 characters
  return text.substr(0, cut) + "...";
}

/// "a map", "a map, or the path of a JSON file".
std::string loose_type(const Field& field) {
  return type_name(field.type) + (field.rule.takes_file ? ", or the path of a JSON file" : "");
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
  if (built.empty() && field.meaning == Meaning::unbuilt) {
    if (asks_for_nothing(node)) return true;
    faults.add_later(node.at, key, shortened(yaml_of(node)), field.help);
    return false;
  }
  if (built.empty() || is_among(node, built)) return true;
  faults.add_not_built(node.at, key, yaml_of(node), listed(built));
  return false;
}

/// True if `options.later` knows the key; a fault unless its value asks for nothing.
bool is_for_later(const Entry& entry, const std::string& key, const ReadContext& context) {
  if (!context.record.options) return false;
  for (const Name& later : context.record.options->later) {
    const std::string_view name = later.name;
    const bool fits = name.ends_with('*') ? entry.key.starts_with(name.substr(0, name.size() - 1))
                                          : entry.key == name;
    if (!fits) continue;
    if (!asks_for_nothing(entry.value))
      context.faults.add_later(entry.at, key, shortened(yaml_of(entry.value)), later.help);
    return true;
  }
  return false;
}

void check_keys(const Node& node, const ReadContext& context) {
  const Rule& rule = context.rule;
  Faults& faults = context.faults;
  const std::string& key = context.key;
  if (rule.known_keys.empty()) return;
  const std::vector<std::string> known(rule.known_keys.begin(), rule.known_keys.end());
  const auto is_known = [&](std::string_view name) {
    return std::find(known.begin(), known.end(), name) != known.end();
  };
  for (const Entry& entry : node.entries) {
    std::string_view bare = entry.key;
    if (bare.starts_with(rule.prefix)) bare.remove_prefix(rule.prefix.size());
    if (is_known(entry.key) || is_known(bare)) continue;
    if (is_for_later(entry, join(key, entry.key), context)) continue;
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

/// A key that no member holds: layout, ignored, unbuilt.
void read_loose(const Node& node, const Field& field, const ReadContext& context) {
  if (field.meaning == Meaning::ignored) {
    if (asks_for_nothing(node) || is_among(node, field.rule.built_only)) return;
    context.record.ignored.push_back(fmt::format("{} ({})", context.key, field.help));
    return;
  }
  if (field.type == Type::map && node.kind == Node::Kind::scalar && asks_for_nothing(node)) return;
  if (!has_type(node, field.type)) return context.expected(node, loose_type(field));
  if (!check_built(node, field, context.key, context.faults)) return;
  check_keys(node, context);
  if (field.meaning == Meaning::layout)
    field.kept->insert_or_assign(std::string(field.name), to_value(node));
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

/// All positions of a tree become one.
void place_at(Node& node, const Position& at) {
  node.at = at;
  for (Node& item : node.items) place_at(item, at);
  for (Entry& entry : node.entries) {
    entry.at = at;
    place_at(entry.value, at);
  }
}

/// The map that a text spells or names: `'{"min_lr": 1e-6}'`, as Hugging Face takes maps because
/// its command line has nothing else, or the path of a file. Nothing for any other node, or after a
/// fault.
std::optional<Node> map_of_text(const Node& node, const Field& field, const ReadContext& context) {
  const bool map = field.binding ? field.binding->is_map() : field.type == Type::map;
  if (!map || node.kind != Node::Kind::scalar || asks_for_nothing(node)) return std::nullopt;
  if (node.text.starts_with('{')) {
    Faults syntax;
    Node parsed = parse_yaml(node.text, "", syntax);
    if (syntax.empty() && parsed.kind == Node::Kind::map) {
      place_at(parsed, node.at);
      return parsed;
    }
    context.expected(node, "a map, or one as JSON text");
    return std::nullopt;
  }
  if (!field.rule.takes_file) return std::nullopt;
  const size_t faults_before = context.faults.count();
  const std::string path = read_path(node, context);
  if (context.faults.count() != faults_before) return std::nullopt;
  const Result<std::string> text = read_file(path);
  if (!text) {
    const auto near = nearest_path(path);
    context.faults.add(node.at, context.key,
                       fmt::format("'{}' {}; {}", path, text.fault().what,
                                   near ? fmt::format("did you mean '{}'?", *near)
                                        : "expected a map, or the path of a JSON file"));
    return std::nullopt;
  }
  Node parsed = parse_yaml(json_as_yaml(*text), path, context.faults);
  if (parsed.kind == Node::Kind::map || context.faults.count() != faults_before) return parsed;
  context.faults.add(node.at, context.key,
                     fmt::format("'{}' holds no map; expected a JSON file of one", path));
  return std::nullopt;
}

void read_field(const Node& given, const Field& field, const ReadContext& context) {
  const size_t before = context.faults.count();
  const std::optional<Node> spelled = map_of_text(given, field, context);
  if (context.faults.count() != before) return;
  const Node& node = spelled ? *spelled : given;
  if (spelled) record_leaves(node, context.key, context.record);
  if (!field.binding) return read_loose(node, field, context);
  if (is_null(node) && field.rule.nullable) {
    context.record.left.insert(context.key);
    return;
  }
  const size_t faults_before = context.faults.count();
  field.binding->read(node, context);
  if (context.faults.count() == faults_before)
    check_built(node, field, context.key, context.faults);
}

}  // namespace

void ReadContext::expected(const Node& node, const std::string& wanted) const {
  faults.add(node.at, key, fmt::format("got {}; expected {}", describe(node), wanted));
}

std::string read_path(const Node& node, const ReadContext& context) {
  const std::string home = context.record.options ? context.record.options->home : "";
  Result<std::string> path = expand_home(node.text, home);
  if (path) return std::move(path).take();
  context.faults.add(node.at, context.key, path.fault().what);
  return node.text;
}

namespace {

const MoreNames* more_names(const ReadContext& context) {
  return context.record.options ? context.record.options->more_names : nullptr;
}

}  // namespace

void read_struct(const Node& node, Fields& fields, const ReadContext& context) {
  if (node.kind != Node::Kind::map && !is_null(node)) return context.expected(node, "a map");
  std::map<std::string_view, std::string> given;  // field -> the key that gave it
  for (const Entry& entry : node.entries) {
    const Field* field = fields.find(entry.key);
    if (!field) {
      if (is_for_later(entry, join(context.key, entry.key), context)) continue;
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
    const Rule rule = field->rule.with(more_names(context));
    const ReadContext inner{key, rule, context.faults, context.record};
    read_field(entry.value, *field, inner);
  }
  for (const Field& field : fields.all()) {
    if (!field.rule.is_required || given.count(field.name) != 0) continue;
    const Rule rule = field.rule.with(more_names(context));
    const std::string type = field.binding ? field.binding->type(rule) : loose_type(field);
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
  if (node.kind != Node::Kind::map) return context.expected(node, "a map");
  check_keys(node, context);
  value = to_value(node);
}

Record read_config(const Node& root, Fields& fields, Faults& faults, const ReadOptions& options) {
  Record record;
  record.root = &fields;
  record.options = &options;
  const Rule none;
  read_struct(root, fields, {"", none, faults, record});
  record.root = nullptr;
  record.options = nullptr;
  return record;
}

bool asks_for_nothing(const Node& node) {
  return asks_for_nothing(to_value(node));
}

bool asks_for_nothing(const Value& value) {
  struct Visitor {
    bool operator()(std::monostate) const { return true; }
    bool operator()(bool b) const { return !b; }
    bool operator()(int64_t) const { return false; }
    bool operator()(double) const { return false; }
    bool operator()(const std::string& s) const { return s.empty(); }
    bool operator()(const Value::List& list) const {
      return std::all_of(list.begin(), list.end(),
                         [](const Value& item) { return asks_for_nothing(item); });
    }
    bool operator()(const Value::Map& map) const {
      return std::all_of(map.begin(), map.end(),
                         [](const auto& entry) { return asks_for_nothing(entry.second); });
    }
  };
  return std::visit(Visitor{}, value.data);
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

void add_texts(const Fields& fields, const std::string& section, const MoreNames* more,
               std::vector<FieldText>& out) {
  for (const Field& field : fields.all()) {
    FieldText text;
    text.key = join(section, field.name);
    text.help = field.help;
    text.meaning = field.meaning;
    text.is_required = field.rule.is_required;
    text.is_path = field.rule.is_path || field.rule.takes_file;
    for (std::string_view alias : field.aliases) text.aliases.emplace_back(alias);
    if (!field.binding) {
      text.type = loose_type(field);
      if (field.type == Type::boolean) text.values = NamesOf<bool>::of(field.rule);
      out.push_back(std::move(text));
      continue;
    }
    const Fields children = field.binding->children();
    text.is_section = !children.all().empty();
    const Rule rule = field.rule.with(more);
    text.type = field.binding->type(rule);
    text.values = field.binding->names(rule);
    if (!text.is_section && !text.is_required) text.preset = yaml_of(field.binding->write());
    const std::string inner = text.key + (field.binding->is_list() ? "[]" : "");
    out.push_back(std::move(text));
    add_texts(children, inner, more, out);
  }
}

}  // namespace

std::vector<std::string> differences(const Fields& fields, const Fields& defaults) {
  return differences(write_config(fields), write_config(defaults));
}

std::vector<std::string> differences(const Node& tree, const Node& defaults) {
  std::vector<std::string> out;
  add_differences(tree, defaults, "", out);
  return out;
}

std::vector<FieldText> field_texts(const Fields& fields, const std::string& section,
                                   const MoreNames* more) {
  std::vector<FieldText> all;
  add_texts(fields, "", more, all);
  std::erase_if(all, [&](const FieldText& text) {
    return !section.empty() && text.key != section && !text.key.starts_with(section + ".");
  });
  return all;
}

}  // namespace lmms::config
