#include "text/jinja/value.h"

#include <simdjson.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstring>

#include "core/format.h"
#include "text/jinja/strings.h"
#include "text/unicode/categories.h"
#include "text/unicode/utf8.h"

namespace lmms::text::jinja {

Value Value::of(Kind kind) {
  Value v;
  v.kind = kind;
  return v;
}

Value Value::of(bool value) {
  Value v = of(Kind::boolean);
  v.boolean = value;
  return v;
}

Value Value::of(int64_t value) {
  Value v = of(Kind::integer);
  v.integer = value;
  return v;
}

Value Value::of(double value) {
  Value v = of(Kind::real);
  v.real = value;
  return v;
}

Value Value::of(std::string_view text) {
  Value v = of(Kind::string);
  v.chars = text.data();
  v.size = static_cast<uint32_t>(text.size());
  return v;
}

Value Value::of(const List* list, Kind kind) {
  Value v = of(kind);
  v.list = list;
  return v;
}

Value Value::of(const Dict* dict) {
  Value v = of(Kind::dict);
  v.dict = dict;
  return v;
}

Value Value::undefined(std::string_view name) {
  Value v = of(name);
  v.kind = Kind::undefined;
  return v;
}

const Value* Dict::find(std::string_view key) const {
  for (const Entry& entry : all()) {
    if (entry.key.is_string() && entry.key.text() == key) return &entry.value;
  }
  return nullptr;
}

const Value* Dict::find(const Value& key) const {
  int64_t budget = INT64_MAX;
  for (const Entry& entry : all()) {
    if (equal(entry.key, key, budget)) return &entry.value;
  }
  return nullptr;
}

char* Arena::bytes(size_t size) {
  constexpr size_t kBlock = 16384;
  size = (size + 7) & ~size_t{7};
  if (size > left_) {
    const size_t block = std::max(size, kBlock);
    if (block > limit_ - used_) throw OutOfMemory();
    used_ += block;
    blocks_.push_back(std::make_unique_for_overwrite<char[]>(block));
    if (size > kBlock / 2) return blocks_.back().get();  // the block begun goes on
    next_ = blocks_.back().get();
    left_ = block;
  }
  char* const out = next_;
  next_ += size;
  left_ -= size;
  return out;
}

std::string_view Arena::copy(std::string_view text) {
  if (text.empty()) return "";
  if (text.size() > UINT32_MAX) throw OutOfMemory();
  char* const out = bytes(text.size());
  std::memcpy(out, text.data(), text.size());
  return {out, text.size()};
}

const List* Arena::list(std::span<const Value> items) {
  List list;
  list.size = items.size();
  if (!items.empty()) {
    auto* const kept = reinterpret_cast<Value*>(bytes(items.size_bytes()));
    std::uninitialized_copy(items.begin(), items.end(), kept);
    list.items = kept;
  }
  return make(list);
}

const Dict* Arena::dict(std::span<const Entry> entries) {
  Dict dict;
  dict.size = entries.size();
  if (!entries.empty()) {
    auto* const kept = reinterpret_cast<Entry*>(bytes(entries.size_bytes()));
    std::uninitialized_copy(entries.begin(), entries.end(), kept);
    dict.entries = kept;
  }
  return make(dict);
}

bool truth(const Value& value) {
  switch (value.kind) {
    case Kind::undefined:
    case Kind::none:
      return false;
    case Kind::boolean:
      return value.boolean;
    case Kind::integer:
      return value.integer != 0;
    case Kind::real:
      return value.real != 0;
    case Kind::string:
      return value.size > 0;
    case Kind::list:
    case Kind::tuple:
      return value.list->size > 0;
    case Kind::dict:
      return value.dict->size > 0;
    case Kind::generator:
    case Kind::space:
    case Kind::loop:
    case Kind::callable:
      return true;
  }
  return true;
}

bool equal(const Value& a, const Value& b, int64_t& budget, int depth) {
  if (depth > kDeepest || --budget < 0) throw TooMuch();
  if (a.is_number() && b.is_number()) {
    if (a.is(Kind::real) || b.is(Kind::real)) return a.number() == b.number();
    return a.whole() == b.whole();
  }
  if (a.kind != b.kind) return false;
  switch (a.kind) {
    case Kind::undefined:
    case Kind::none:
      return true;
    case Kind::string:
      return a.text() == b.text();
    case Kind::list:
    case Kind::tuple:
      return a.list == b.list ||
             std::ranges::equal(a.list->all(), b.list->all(), [&](const Value& x, const Value& y) {
               return equal(x, y, budget, depth + 1);
             });
    case Kind::dict:
      return a.dict == b.dict ||
             (a.dict->size == b.dict->size &&
              std::ranges::all_of(a.dict->all(), [&](const Entry& entry) {
                const Value* other = b.dict->find(entry.key);
                return other != nullptr && equal(entry.value, *other, budget, depth + 1);
              }));
    default:
      return a.chars == b.chars;  // the same object
  }
}

std::string_view type_name(const Value& value) {
  constexpr std::string_view names[] = {"Undefined", "NoneType",    "bool",    "int",       "float",
                                        "str",       "list",        "tuple",   "generator", "dict",
                                        "Namespace", "LoopContext", "function"};
  return names[static_cast<size_t>(value.kind)];
}

void append_number(double value, std::string& out) {
  if (std::isnan(value)) {
    out += "nan";
    return;
  }
  if (std::isinf(value)) {
    out += value < 0 ? "-inf" : "inf";
    return;
  }
  // Python writes the shortest digits that read back, with an exponent below 1e-4 and from 1e16 on.
  char digits[40];
  const double size = std::fabs(value);
  const bool small = size != 0 && size < 1e-4;
  const auto format =
      small || size >= 1e16 ? std::chars_format::scientific : std::chars_format::fixed;
  const auto [end, error] = std::to_chars(digits, digits + sizeof(digits), value, format);
  const std::string_view written(digits, static_cast<size_t>(end - digits));
  out += written;
  if (format == std::chars_format::fixed && written.find('.') == written.npos) out += ".0";
}

namespace {

bool is_printable(char32_t c) {
  using unicode::Category;
  if (c == ' ') return true;
  const Category category = unicode::category(c);
  return category > Category::Cs && category < Category::Zl;
}

void append_quoted(std::string_view text, std::string& out) {
  const bool has_single = text.find('\'') != text.npos, has_double = text.find('"') != text.npos;
  const char quote = has_single && !has_double ? '"' : '\'';
  out += quote;
  const char* at = text.data();
  for (const char* const end = at + text.size(); at < end;) {
    const char32_t c = unicode::next(at);
    if (c == static_cast<unsigned char>(quote) || c == '\\') {
      out += '\\';
      out += static_cast<char>(c);
    } else if (c == '\n') {
      out += "\\n";
    } else if (c == '\r') {
      out += "\\r";
    } else if (c == '\t') {
      out += "\\t";
    } else if (is_printable(c)) {
      unicode::append(out, c);
    } else {
      const auto code = static_cast<uint32_t>(c);
      out += c < 0x100     ? fmt::format("\\x{:02x}", code)
             : c < 0x10000 ? fmt::format("\\u{:04x}", code)
                           : fmt::format("\\U{:08x}", code);
    }
  }
  out += quote;
}

void append_json_string(std::string_view text, bool ensure_ascii, std::string& out) {
  out += '"';
  const char* at = text.data();
  for (const char* const end = at + text.size(); at < end;) {
    const char* const begin = at;
    const char32_t c = unicode::next(at);
    const auto escape = [&](char32_t unit) {
      out += fmt::format("\\u{:04x}", static_cast<uint32_t>(unit));
    };
    constexpr std::string_view kShort = "\"\\\n\r\t\f\b", kLetters = "\"\\nrtfb";
    if (const size_t known = c < 0x80 ? kShort.find(static_cast<char>(c)) : kShort.npos;
        known != kShort.npos) {
      out += '\\';
      out += kLetters[known];
    } else if (c < 0x20) {
      escape(c);
    } else if (c < 0x80 || !ensure_ascii) {
      // DEL too, under ensure_ascii as well: Python leaves it
      out.append(begin, at);
    } else if (c < 0x10000) {
      escape(c);
    } else {
      escape(0xD800 + ((c - 0x10000) >> 10));
      escape(0xDC00 + ((c - 0x10000) & 0x3FF));
    }
  }
  out += '"';
}

void append_json_key(const Value& key, const JsonForm& form, std::string& out) {
  if (key.is_string()) return append_json_string(key.text(), form.ensure_ascii, out);
  if (!key.is_number() && !key.is(Kind::none)) throw NotJson{type_name(key)};
  out += '"';
  append_json(key, form, out);
  out += '"';
}

void append_break(const JsonForm& form, int depth, std::string& out) {
  if (!form.indents) return;
  out += '\n';
  for (int i = 0; i < depth; ++i) out += form.indent;
}

/// The members of a list or dict, between their brackets.
template <class Items, class Write>
void append_members(const Items& items, std::string_view brackets, const JsonForm& form, int depth,
                    std::string& out, const Write& write) {
  out += brackets[0];
  bool first = true;
  for (const auto& item : items) {
    if (!first) out += form.item_separator;
    first = false;
    append_break(form, depth + 1, out);
    write(item);
  }
  if (!first) append_break(form, depth, out);
  out += brackets[1];
}

}  // namespace

void append_json(const Value& value, const JsonForm& form, std::string& out, int depth) {
  if (depth > kDeepest || out.size() > kLongest) throw TooMuch();
  switch (value.kind) {
    case Kind::none:
      out += "null";
      return;
    case Kind::boolean:
      out += value.boolean ? "true" : "false";
      return;
    case Kind::integer:
      out += fmt::format("{}", value.integer);
      return;
    case Kind::real:
      if (std::isfinite(value.real)) return append_number(value.real, out);
      out += std::isnan(value.real) ? "NaN" : value.real < 0 ? "-Infinity" : "Infinity";
      return;
    case Kind::string:
      return append_json_string(value.text(), form.ensure_ascii, out);
    case Kind::list:
    case Kind::tuple:
      return append_members(value.list->all(), "[]", form, depth, out,
                            [&](const Value& item) { append_json(item, form, out, depth + 1); });
    case Kind::dict: {
      std::vector<Entry> entries(value.dict->all().begin(), value.dict->all().end());
      if (form.sort_keys) {
        for (const Entry& entry : entries)
          if (!entry.key.is_string()) throw NotJson{"dict with keys that are no strings, sorted"};
        std::ranges::stable_sort(entries, {}, [](const Entry& entry) { return entry.key.text(); });
      }
      return append_members(entries, "{}", form, depth, out, [&](const Entry& entry) {
        append_json_key(entry.key, form, out);
        out += form.key_separator;
        append_json(entry.value, form, out, depth + 1);
      });
    }
    default:
      throw NotJson{type_name(value)};
  }
}

void append_str(const Value& value, std::string& out) {
  if (value.is_string()) {
    out += value.text();
  } else if (!value.is(Kind::undefined)) {
    append_repr(value, out);
  }
}

void append_repr(const Value& value, std::string& out, int depth) {
  if (depth > kDeepest || out.size() > kLongest) throw TooMuch();
  switch (value.kind) {
    case Kind::undefined:
      out += "Undefined";
      return;
    case Kind::none:
      out += "None";
      return;
    case Kind::boolean:
      out += value.boolean ? "True" : "False";
      return;
    case Kind::integer:
      out += fmt::format("{}", value.integer);
      return;
    case Kind::real:
      return append_number(value.real, out);
    case Kind::string:
      return append_quoted(value.text(), out);
    case Kind::list:
    case Kind::tuple: {
      const bool tuple = value.is(Kind::tuple);
      out += tuple ? '(' : '[';
      for (size_t i = 0; i < value.list->size; ++i) {
        if (i > 0) out += ", ";
        append_repr(value.list->items[i], out, depth + 1);
      }
      if (tuple && value.list->size == 1) out += ',';
      out += tuple ? ')' : ']';
      return;
    }
    case Kind::dict: {
      out += '{';
      bool first = true;
      for (const Entry& entry : value.dict->all()) {
        if (!first) out += ", ";
        first = false;
        append_repr(entry.key, out, depth + 1);
        out += ": ";
        append_repr(entry.value, out, depth + 1);
      }
      out += '}';
      return;
    }
    default:
      // Python writes an address here, which is another one in every run.
      throw NotJson{type_name(value)};
  }
}

namespace {

/// A whole number that a Value cannot hold.
struct TooLarge {
  uint64_t number;
};

Value value_of(simdjson::dom::element element, Arena& arena, int depth) {
  using Type = simdjson::dom::element_type;
  if (depth > kDeepest) throw TooMuch();
  switch (element.type()) {
    case Type::ARRAY: {
      std::vector<Value> items;
      const simdjson::dom::array array = element.get_array().value_unsafe();
      for (const auto item : array) items.push_back(value_of(item, arena, depth + 1));
      return Value::of(arena.list(items));
    }
    case Type::OBJECT: {
      std::vector<Entry> entries;
      const simdjson::dom::object object = element.get_object().value_unsafe();
      for (const auto [key, item] : object)
        entries.push_back({arena.string(key), value_of(item, arena, depth + 1)});
      return Value::of(arena.dict(entries));
    }
    case Type::INT64:
      return Value::of(element.get_int64().value_unsafe());
    case Type::UINT64:
      throw TooLarge{element.get_uint64().value_unsafe()};
    case Type::DOUBLE:
      return Value::of(element.get_double().value_unsafe());
    case Type::STRING:
      return arena.string(element.get_string().value_unsafe());
    case Type::BOOL:
      return Value::of(element.get_bool().value_unsafe());
    case Type::NULL_VALUE:
      return Value::none();
    default:
      return {};
  }
}

}  // namespace

Result<Value> parse_json(std::string_view text, Arena& arena) {
  constexpr const char* kFix = "write the number as a string";
  thread_local simdjson::dom::parser parser;  // its buffers are worth keeping
  simdjson::dom::element root;
  const simdjson::error_code error = parser.parse(text.data(), text.size()).get(root);
  if (error == simdjson::NUMBER_ERROR)
    return Fault{"", "a number that is none, or a whole one that is beyond 64 bits", kFix};
  if (error != simdjson::SUCCESS)
    return Fault{"", fmt::format("is no JSON: {}", simdjson::error_message(error)), ""};
  try {
    return value_of(root, arena, 0);
  } catch (const TooLarge& large) {
    return Fault{"",
                 fmt::format("the whole number {} is beyond 2^63 - 1, the largest that chat "
                             "templates are given",
                             large.number),
                 kFix};
  } catch (const TooMuch&) {
    return Fault{"", fmt::format("is nested more than {} deep", kDeepest), ""};
  }
}

}  // namespace lmms::text::jinja
