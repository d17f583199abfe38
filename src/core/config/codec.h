#pragma once
/// How a type of a config field is read from a node and written to one. A type of one's own joins
/// by a list of its fields
/// (`fields(Fields&, T&)`), by a list of its names if it is an enum (`enum_names(T)`), or by
/// specialising Codec.
#include <concepts>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <type_traits>
#include <vector>

#include "core/config/faults.h"
#include "core/config/names.h"
#include "core/config/node.h"
#include "core/config/rule.h"

namespace lmms::config {

class Fields;
struct Record;

/// What the reader of one value knows.
struct ReadContext {
  std::string key;  ///< dotted, from the root
  const Rule& rule;
  Faults& faults;
  Record& record;

  /// "got 'fast'; expected a number": adds it at the node.
  void expected(const Node& node, const std::string& wanted) const;
};

template <class T>
concept HasFields = requires(Fields& f, T& t) {
  fields(f, t);
};
template <class T>
concept HasEnumNames = std::is_enum_v<T> && requires(T t) {
  enum_names(t);
};

template <class T>
struct IsListOfFields : std::false_type {};
template <HasFields T>
struct IsListOfFields<std::vector<T>> : std::true_type {};
template <class T>
concept ListOfFields = IsListOfFields<T>::value;

void read_scalar(const Node& node, bool& value, const ReadContext& context);
void read_scalar(const Node& node, int64_t& value, const ReadContext& context);
void read_scalar(const Node& node, double& value, const ReadContext& context);
void read_scalar(const Node& node, std::string& value, const ReadContext& context);
void read_free(const Node& node, Value& value, const ReadContext& context);
/// The text of a path, `~` and `~name` at its front replaced by the home folder; a fault, and the
/// text as it is, where that is not known.
std::string read_path(const Node& node, const ReadContext& context);
/// The index of the name that a scalar gives, yes/true/on and no/false/off being one where a name
/// is among them; -1 after a fault.
int read_name(const Node& node, std::span<const std::string_view> names,
              const ReadContext& context);
/// A struct's map, read field by field.
void read_struct(const Node& node, Fields& fields, const ReadContext& context);
Node write_struct(const Fields& fields);

std::string scalar_type(const bool&, const Rule& rule);
std::string scalar_type(const int64_t&, const Rule& rule);
std::string scalar_type(const double&, const Rule& rule);
std::string scalar_type(const std::string&, const Rule& rule);

template <class T>
struct Codec;

/// Types that are written as a map: a struct, or a value of free form.
template <class T>
struct IsMap : std::bool_constant<HasFields<T>> {};
template <>
struct IsMap<Value> : std::true_type {};
template <class T>
struct IsMap<std::optional<T>> : IsMap<T> {};

template <class T>
concept Scalar = std::same_as<T, bool> || std::same_as<T, int64_t> || std::same_as<T, double> ||
    std::same_as<T, std::string>;

template <Scalar T>
struct Codec<T> {
  static void read(const Node& node, T& value, const ReadContext& context) {
    read_scalar(node, value, context);
  }
  static Node write(const T& value) { return to_node(value); }
  static std::string type(const Rule& rule) { return scalar_type(T{}, rule); }
};

template <>
struct Codec<Value> {
  static void read(const Node& node, Value& value, const ReadContext& context) {
    read_free(node, value, context);
  }
  static Node write(const Value& value) { return to_node(value); }
  static std::string type(const Rule&) { return "a map"; }
};

template <HasEnumNames E>
struct Codec<E> {
  static void read(const Node& node, E& value, const ReadContext& context) {
    const int index = read_name(node, names(), context);
    if (index >= 0) value = enum_names(E{})[static_cast<size_t>(index)].value;
  }
  static Node write(const E& value) {
    for (const EnumName<E>& entry : enum_names(E{})) {
      if (entry.value != value) continue;
      if (entry.name == "true" || entry.name == "false") return to_node(entry.name == "true");
      return to_node(std::string(entry.name));
    }
    return {};
  }
  static std::string type(const Rule&) {
    const auto all = names();
    return "one of " + listed(all);
  }

 private:
  static std::vector<std::string_view> names() {
    std::vector<std::string_view> all;
    for (const EnumName<E>& entry : enum_names(E{})) all.push_back(entry.name);
    return all;
  }
};

template <class T>
struct Codec<std::optional<T>> {
  static void read(const Node& node, std::optional<T>& value, const ReadContext& context) {
    if (is_null(node)) {
      value.reset();
      return;
    }
    T inner{};
    Codec<T>::read(node, inner, context);
    value = std::move(inner);
  }
  static Node write(const std::optional<T>& value) {
    return value ? Codec<T>::write(*value) : Node::scalar("null");
  }
  static std::string type(const Rule& rule) { return Codec<T>::type(rule) + ", or null"; }
};

template <class T>
struct Codec<std::vector<T>> {
  static void read(const Node& node, std::vector<T>& value, const ReadContext& context) {
    std::vector<T> elements;
    if (context.rule.takes_single && node.kind == Node::Kind::scalar) {
      read_element(node, elements, context);
    } else if (node.kind == Node::Kind::list) {
      for (size_t i = 0; i < node.items.size(); ++i) {
        ReadContext inner{context.key + "[" + std::to_string(i) + "]", context.rule, context.faults,
                          context.record};
        read_element(node.items[i], elements, inner);
      }
    } else {
      return context.expected(node, type(context.rule));
    }
    value = std::move(elements);
  }
  static Node write(const std::vector<T>& value) {
    Node node;
    node.kind = Node::Kind::list;
    for (const T& element : value) node.items.push_back(Codec<T>::write(element));
    return node;
  }
  static std::string type(const Rule& rule) {
    if constexpr (HasFields<T>) return "a list of maps";
    const std::string element = rule.names.empty() ? "text" : Codec<T>::type(rule);
    return rule.takes_single ? element + ", or a list of them" : "a list of " + element;
  }

 private:
  static void read_element(const Node& node, std::vector<T>& elements, const ReadContext& context) {
    T element{};
    Codec<T>::read(node, element, context);
    elements.push_back(std::move(element));
  }
};

template <HasFields T>
struct Codec<T> {
  static void read(const Node& node, T& value, const ReadContext& context);
  static Node write(const T& value);
  static std::string type(const Rule&) { return "a map"; }
};

}  // namespace lmms::config
