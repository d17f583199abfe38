#pragma once
/// The one list of a struct's fields. `void fields(Fields& f, OptimConfig& c)` says each field
/// once:
///
///   f("learning_rate", c.learning_rate, "peak learning rate", Rule().more_than(0));
///
/// and reader, writer, help, diff against defaults and the guide's tables walk what it said
/// (config/schema.h).
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/config/codec.h"
#include "core/config/rule.h"

namespace lmms::config {

/// A field's place in its struct, its type hidden.
class Binding {
 public:
  virtual ~Binding() = default;
  virtual void read(const Node& node, const ReadContext& context) = 0;
  virtual Node write() const = 0;
  /// "a number", "a list of text".
  virtual std::string type(const Rule& rule) const = 0;
  /// The names that a value, or an element of a list, may have; empty: it is no name.
  virtual std::vector<Name> names(const Rule& rule) const = 0;
  /// The fields of the struct behind it, or of a default element of a list of structs; empty for
  /// anything else.
  virtual Fields children() = 0;
  /// True for a list of structs, whose children stand under KEY[i].
  virtual bool is_list() const = 0;
  /// True for what is written as a map.
  virtual bool is_map() const = 0;
};

/// What a field is to this program.
enum class Meaning {
  plain,    ///< read and obeyed
  layout,   ///< chooses only speed or layout: accepted, kept for the table at the start
  ignored,  ///< known to the Python project, meaningless here: named in one notice
  unbuilt,  ///< known, only its harmless values are accepted
};

/// The type of a key that no member holds.
enum class Type { any, boolean, integer, number, text, list, map };
std::string type_name(Type type);
/// True if the node is null or of that type; a single text is a list of one.
bool has_type(const Node& node, Type type);

struct Field {
  std::string_view name;
  std::string_view help;
  Meaning meaning = Meaning::plain;
  Rule rule;
  Type type = Type::any;                         ///< of a field without binding
  std::shared_ptr<Binding> binding;              ///< of plain
  std::map<std::string, Value>* kept = nullptr;  ///< of layout
  std::vector<std::string_view> aliases;         ///< other spellings of the key
};

class Fields {
 public:
  template <class T>
  void operator()(std::string_view name, T& value, std::string_view help, const Rule& rule = {});
  /// Kept in `kept` under its name where it is given.
  void layout(std::string_view name, std::map<std::string, Value>& kept, Type type,
              std::string_view help, const Rule& rule = {});
  /// `help` says why it means nothing here.
  void ignored(std::string_view name, std::string_view help);
  /// What an ignored key has, as YAML, in files that spell out every key with its default: it asks
  /// for nothing, and is not named.
  void usual(std::string_view name, std::initializer_list<std::string_view> values);
  /// Accepted only with a value of `built`, given as YAML; of none: only with what asks for
  /// nothing.
  void unbuilt(std::string_view name, Type type, std::initializer_list<std::string_view> built,
               std::string_view help);
  /// Another spelling of a field already listed.
  void alias(std::string_view other, std::string_view name);

  /// Optional fields without a value are not written.
  void omit_absent() { omits_absent_ = true; }

  const std::vector<Field>& all() const { return fields_; }
  bool omits_absent() const { return omits_absent_; }
  /// By name or alias; null if unknown.
  const Field* find(std::string_view key) const;

 private:
  std::vector<Field> fields_;
  bool omits_absent_ = false;
};

/// The names that a value of a type may have under a rule.
template <class T>
struct NamesOf {
  static std::vector<Name> of(const Rule& rule) { return rule.names; }
};
template <>
struct NamesOf<bool> {
  static std::vector<Name> of(const Rule&) {
    return {{"true", Built::built, ""}, {"false", Built::built, ""}};
  }
};
template <HasEnumNames E>
struct NamesOf<E> {
  static std::vector<Name> of(const Rule&) {
    std::vector<Name> all;
    for (const EnumName<E>& entry : enum_names(E{})) all.push_back({entry.name, Built::built, ""});
    return all;
  }
};
template <class T>
struct NamesOf<std::optional<T>> : NamesOf<T> {};
template <class T>
struct NamesOf<std::vector<T>> : NamesOf<T> {};

template <class T>
class BindingOf final : public Binding {
 public:
  explicit BindingOf(T& value) : value_(value) {}
  void read(const Node& node, const ReadContext& context) override {
    Codec<T>::read(node, value_, context);
  }
  Node write() const override { return Codec<T>::write(value_); }
  std::string type(const Rule& rule) const override { return Codec<T>::type(rule); }
  std::vector<Name> names(const Rule& rule) const override { return NamesOf<T>::of(rule); }
  Fields children() override {
    Fields inner;
    if constexpr (HasFields<T>) {
      fields(inner, value_);
    } else if constexpr (ListOfFields<T>) {
      fields(inner, element_);
    }
    return inner;
  }
  bool is_list() const override { return ListOfFields<T>; }
  bool is_map() const override { return IsMap<T>::value; }

 private:
  struct Nothing {};
  template <class U>
  struct ElementOf {
    using type = Nothing;
  };
  template <class U>
  struct ElementOf<std::vector<U>> {
    using type = U;
  };
  T& value_;
  typename ElementOf<T>::type element_{};
};

template <class T>
void Fields::operator()(std::string_view name, T& value, std::string_view help, const Rule& rule) {
  Field field;
  field.name = name;
  field.help = help;
  field.rule = rule;
  field.binding = std::make_shared<BindingOf<T>>(value);
  fields_.push_back(std::move(field));
}

template <HasFields T>
void Codec<T>::read(const Node& node, T& value, const ReadContext& context) {
  Fields list;
  fields(list, value);
  read_struct(node, list, context);
}

template <HasFields T>
Node Codec<T>::write(const T& value) {
  Fields list;
  fields(list, const_cast<T&>(value));  // the list binds, the writer only reads
  return write_struct(list);
}

}  // namespace lmms::config
