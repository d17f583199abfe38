#pragma once
/// The values of a template, as Python has them. They are plain and never freed one by one: what
/// they point to lives in an Arena, or in the template and the chat that are rendered.
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/error.h"

namespace lmms::text::jinja {

enum class Kind : uint8_t {
  undefined,
  none,
  boolean,
  integer,
  real,
  string,
  list,
  tuple,
  generator,  ///< what map, select and their like make: iterated once, always true, without length
  dict,
  space,     ///< namespace(): the only value that changes
  loop,      ///< of a for statement
  callable,  ///< a macro, a method with its object, or a function
};

struct Value;
struct Entry;
struct Space;
struct Loop;
struct Callable;

struct List {
  const Value* items = nullptr;
  size_t size = 0;
  mutable size_t taken = 0;  ///< of a generator

  std::span<const Value> all() const;
};

struct Dict {
  const Entry* entries = nullptr;
  size_t size = 0;

  std::span<const Entry> all() const;
  const Value* find(std::string_view key) const;
  /// Keys are texts, numbers or none.
  const Value* find(const Value& key) const;
};

struct Value {
  Kind kind = Kind::undefined;
  uint32_t size = 0;  ///< of a string, and of the name of what is undefined: bytes
  union {
    bool boolean;
    int64_t integer;
    double real;
    const char* chars = "";
    const List* list;
    const Dict* dict;
    Space* space;
    const Loop* loop;
    const Callable* callable;
  };

  std::string_view text() const { return {chars, size}; }
  bool is(Kind k) const { return kind == k; }
  bool is_string() const { return kind == Kind::string; }
  bool is_sequence() const { return kind == Kind::list || kind == Kind::tuple; }
  bool is_number() const { return kind >= Kind::boolean && kind <= Kind::real; }
  /// Of a boolean or an integer.
  int64_t whole() const { return kind == Kind::boolean ? boolean : integer; }
  /// Of a number.
  double number() const { return kind == Kind::real ? real : static_cast<double>(whole()); }

  static Value none() { return of(Kind::none); }
  static Value of(bool value);
  static Value of(int64_t value);
  static Value of(double value);
  /// A view: the text outlives the value. Must be valid UTF-8 of less than 4 GiB.
  static Value of(std::string_view text);
  static Value of(const List* list, Kind kind = Kind::list);
  static Value of(const Dict* dict);
  /// Undefined, with the name by which a message calls it.
  static Value undefined(std::string_view name);

 private:
  static Value of(Kind kind);
};

struct Entry {
  Value key, value;
};

inline std::span<const Value> List::all() const {
  return {items, size};
}
inline std::span<const Entry> Dict::all() const {
  return {entries, size};
}

/// A variable, or an argument by its name.
struct NamedValue {
  std::string_view name;
  Value value;
};

/// The memory of values. Throws OutOfMemory beyond its limit.
class Arena {
 public:
  struct OutOfMemory {};
  explicit Arena(size_t limit = size_t{1} << 30) : limit_(limit) {}

  char* bytes(size_t size);
  std::string_view copy(std::string_view text);
  const List* list(std::span<const Value> items);
  const Dict* dict(std::span<const Entry> entries);
  /// A value that is destroyed without a destructor.
  template <class T>
  T* make(const T& value) {
    static_assert(std::is_trivially_destructible_v<T> && alignof(T) <= 8);
    return new (bytes(sizeof(T))) T(value);
  }
  /// A string that the arena keeps.
  Value string(std::string_view text) { return Value::of(copy(text)); }

 private:
  std::vector<std::unique_ptr<char[]>> blocks_;
  char* next_ = nullptr;
  size_t left_ = 0, used_ = 0, limit_;
};

/// What Python would do with values. Lists that hold a list twice, and that twice again, grow
/// without bound where they are gone through: functions that do so throw TooMuch beyond kDeepest
/// levels, kLongest bytes of text or `budget` comparisons.
struct TooMuch {};
inline constexpr int kDeepest = 200;
inline constexpr size_t kLongest = size_t{64} << 20;

bool truth(const Value& value);
bool equal(const Value& a, const Value& b, int64_t& budget, int depth = 0);
/// What type() names it: "str", "dict".
std::string_view type_name(const Value& value);
/// str(value) and repr(value).
void append_str(const Value& value, std::string& out);
void append_repr(const Value& value, std::string& out, int depth = 0);
/// repr of a number.
void append_number(double value, std::string& out);

/// json.dumps.
struct JsonForm {
  bool ensure_ascii = false, sort_keys = false;
  bool indents = false;
  std::string indent{};  ///< of one level
  std::string item_separator = ", ", key_separator = ": ";
};
/// Throws NotJson for what json.dumps refuses.
struct NotJson {
  std::string_view type;
};
void append_json(const Value& value, const JsonForm& form, std::string& out, int depth = 0);

/// A JSON text as values, whose strings the arena keeps. A fault if it is none, and for a whole
/// number that is no int64_t: as a real it would be another one. `where` of faults is empty.
Result<Value> parse_json(std::string_view text, Arena& arena);

}  // namespace lmms::text::jinja
