#include "core/config/fields.h"

#include <algorithm>
#include <cmath>

#include "core/format.h"
#include "core/nearest.h"

namespace lmms::config {
namespace {

/// Faults a text that is none of the names, or one that is known and not built.
void check_name(const Node& node, const std::string& text, const ReadContext& context) {
  const std::vector<Name>& names = context.rule.names;
  if (names.empty()) return;
  std::vector<Name> built;
  std::vector<std::string> known;
  for (const Name& name : names) {
    if (name.name == text && name.built == Built::built) return;
    if (name.built == Built::built) built.push_back(name);
    known.emplace_back(name.name);
  }
  if (std::find(known.begin(), known.end(), text) != known.end()) {
    context.faults.add_not_built(node.at, context.key, text, "one of " + listed(built));
    return;
  }
  const auto near = nearest_name(text, known);
  context.expected(
      node, "one of " + listed(built) + (near ? fmt::format("; did you mean '{}'?", *near) : ""));
}

}  // namespace

std::string type_name(Type type) {
  switch (type) {
    case Type::any:
      return "any value";
    case Type::boolean:
      return "true or false";
    case Type::integer:
      return "a whole number";
    case Type::number:
      return "a number";
    case Type::text:
      return "text";
    case Type::list:
      return "a list";
    case Type::map:
      return "a map";
  }
  return "";
}

bool has_type(const Node& node, Type type) {
  if (is_null(node)) return true;
  bool boolean = false;
  int64_t whole = 0;
  double number = 0;
  switch (type) {
    case Type::any:
      return true;
    case Type::boolean:
      return read_boolean(node, boolean);
    case Type::integer:
      return read_integer(node, whole);
    case Type::number:
      return read_number(node, number);
    case Type::text:
      return node.kind == Node::Kind::scalar;
    case Type::list:
      return node.kind == Node::Kind::list || node.kind == Node::Kind::scalar;
    case Type::map:
      return node.kind == Node::Kind::map;
  }
  return false;
}

void Fields::layout(std::string_view name, std::map<std::string, Value>& kept, Type type,
                    std::string_view help, const Rule& rule) {
  Field field{name, help, Meaning::layout, rule, type, nullptr, &kept, {}};
  fields_.push_back(std::move(field));
}

void Fields::ignored(std::string_view name, std::string_view help) {
  fields_.push_back({name, help, Meaning::ignored, {}, Type::any, nullptr, nullptr, {}});
}

void Fields::usual(std::string_view name, std::initializer_list<std::string_view> values) {
  for (Field& field : fields_) {
    if (field.name == name) field.rule = field.rule.only(values);
  }
}

void Fields::unbuilt(std::string_view name, Type type,
                     std::initializer_list<std::string_view> built, std::string_view help) {
  fields_.push_back({name, help, Meaning::unbuilt, Rule().only(built), type, nullptr, nullptr, {}});
}

void Fields::alias(std::string_view other, std::string_view name) {
  for (Field& field : fields_) {
    if (field.name == name) field.aliases.push_back(other);
  }
}

const Field* Fields::find(std::string_view key) const {
  for (const Field& field : fields_) {
    if (field.name == key) return &field;
    for (std::string_view alias : field.aliases) {
      if (alias == key) return &field;
    }
  }
  return nullptr;
}

void read_scalar(const Node& node, bool& value, const ReadContext& context) {
  if (!read_boolean(node, value)) context.expected(node, scalar_type(value, context.rule));
}

void read_scalar(const Node& node, int64_t& value, const ReadContext& context) {
  int64_t read = 0;
  const bool whole = read_integer(node, read);
  if (!whole || !context.rule.bounds.hold(static_cast<double>(read))) {
    return context.expected(node, scalar_type(value, context.rule));
  }
  value = read;
}

void read_scalar(const Node& node, double& value, const ReadContext& context) {
  double read = 0;
  const bool number = read_number(node, read) && std::isfinite(read);
  if (!number || !context.rule.bounds.hold(read))
    return context.expected(node, scalar_type(value, context.rule));
  value = read;
}

void read_scalar(const Node& node, std::string& value, const ReadContext& context) {
  if (node.kind != Node::Kind::scalar || is_null(node))
    return context.expected(node, scalar_type(value, context.rule));
  check_name(node, node.text, context);
  value = context.rule.is_path ? read_path(node, context) : node.text;
}

int read_name(const Node& node, std::span<const std::string_view> names,
              const ReadContext& context) {
  const auto index_of = [&](std::string_view text) {
    for (size_t i = 0; i < names.size(); ++i) {
      if (names[i] == text) return static_cast<int>(i);
    }
    return -1;
  };
  if (node.kind == Node::Kind::scalar) {
    if (const int index = index_of(node.text); index >= 0) return index;
    constexpr std::string_view kTrue[] = {"true", "yes", "on"};
    constexpr std::string_view kFalse[] = {"false", "no", "off"};
    if (bool boolean = false; read_boolean(node, boolean)) {
      for (std::string_view word : boolean ? kTrue : kFalse) {
        if (const int index = index_of(word); index >= 0) return index;
      }
    }
  }
  const std::vector<std::string> known(names.begin(), names.end());
  const auto near = nearest_name(node.text, known);
  context.expected(
      node, "one of " + listed(names) + (near ? fmt::format("; did you mean '{}'?", *near) : ""));
  return -1;
}

std::string scalar_type(const bool&, const Rule&) {
  return type_name(Type::boolean);
}
std::string scalar_type(const int64_t&, const Rule& rule) {
  return type_name(Type::integer) + rule.bounds.text();
}
std::string scalar_type(const double&, const Rule& rule) {
  return type_name(Type::number) + rule.bounds.text();
}

std::string scalar_type(const std::string&, const Rule& rule) {
  if (rule.names.empty()) return type_name(Type::text);
  std::vector<Name> built;
  for (const Name& name : rule.names) {
    if (name.built == Built::built) built.push_back(name);
  }
  return "one of " + listed(built);
}

}  // namespace lmms::config
