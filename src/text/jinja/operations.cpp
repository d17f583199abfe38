/// What expressions do with values: operators, items and attributes, iteration.
#include <algorithm>
#include <cmath>

#include "core/format.h"
#include "text/jinja/renderer.h"
#include "text/jinja/strings.h"

namespace lmms::text::jinja {

bool Renderer::equals(const Value& a, const Value& b) {
  int64_t budget = limits_.steps - steps_;
  const int64_t before = budget;
  const bool out = equal(a, b, budget);
  steps_ += before - budget;
  return out;
}

bool Renderer::is_less(const Value& a, const Value& b) {
  const Deeper deeper(*this);
  if (a.is_number() && b.is_number()) {
    return a.is(Kind::real) || b.is(Kind::real) ? a.number() < b.number() : a.whole() < b.whole();
  }
  if (a.is_string() && b.is_string()) return a.text() < b.text();
  if (a.kind == b.kind && a.is_sequence()) {
    for (size_t i = 0; i < std::min(a.list->size, b.list->size); ++i) {
      if (!equals(a.list->items[i], b.list->items[i]))
        return is_less(a.list->items[i], b.list->items[i]);
    }
    return a.list->size < b.list->size;
  }
  fail(fmt::format("values of type {} and {} have no order", type_name(a), type_name(b)));
}

bool Renderer::contains(const Value& container, const Value& value) {
  switch (container.kind) {
    case Kind::string:
      if (!value.is_string())
        fail(fmt::format("'in' of a text wants a text on its left, found {}", type_name(value)));
      work(container.size / 64);
      return container.text().find(value.text()) != std::string_view::npos;
    case Kind::dict:
      return container.dict->find(value) != nullptr;
    case Kind::undefined:
      return false;
    default:
      return std::ranges::any_of(iterate(container)->all(),
                                 [&](const Value& item) { return equals(item, value); });
  }
}

Value Renderer::binary(Op op, const Value& a, const Value& b) {
  if (op == Op::concatenate) {
    std::string text(str(a));
    const std::string_view right = str(b);
    room_for(text.size() + right.size());
    return string(text.append(right));
  }
  for (const Value* value : {&a, &b})
    if (value->is(Kind::undefined)) fail(fmt::format("'{}' is undefined", value->text()));
  if (a.is_number() && b.is_number()) return arithmetic(op, a, b);
  if (op == Op::add && a.is_string() && b.is_string()) {
    const size_t size = size_t{a.size} + b.size;
    room_for(size);
    char* const out = arena_.bytes(size);
    std::copy_n(a.chars, a.size, out);
    std::copy_n(b.chars, b.size, out + a.size);
    return Value::of(std::string_view(out, size));
  }
  if (op == Op::add && a.kind == b.kind && a.is_sequence()) {
    std::vector<Value> items(a.list->all().begin(), a.list->all().end());
    items.insert(items.end(), b.list->all().begin(), b.list->all().end());
    work(items.size());
    return list_of(items, a.kind);
  }
  const auto is_whole = [](const Value& v) { return v.is(Kind::integer) || v.is(Kind::boolean); };
  if (op == Op::multiply && (a.is_string() || a.is_sequence()) && is_whole(b))
    return repeated(a, b.whole());
  if (op == Op::multiply && (b.is_string() || b.is_sequence()) && is_whole(a))
    return repeated(b, a.whole());
  if (op == Op::modulo && a.is_string()) return formatted(a, b);
  constexpr std::string_view signs[] = {"+", "-", "*", "/", "//", "%", "**", "~"};
  fail(fmt::format("'{}' of values of type {} and {}", signs[static_cast<size_t>(op)], type_name(a),
                   type_name(b)),
       op == Op::add && (a.is_string() || b.is_string()) ? "'~' joins values of all types" : "");
}

Value Renderer::repeated(const Value& sequence, int64_t times) {
  const auto count = static_cast<size_t>(std::max<int64_t>(times, 0));
  const size_t size = sequence.is_string() ? sequence.size : sequence.list->size * sizeof(Value);
  if (size > 0 && count > limits_.output / size) room_for(SIZE_MAX);
  if (sequence.is_string()) {
    std::string text;
    text.reserve(size * count);
    for (size_t i = 0; i < count && size > 0; ++i) text += sequence.text();
    return string(text);
  }
  std::vector<Value> items;
  for (size_t i = 0; i < count && size > 0; ++i)
    items.insert(items.end(), sequence.list->all().begin(), sequence.list->all().end());
  return list_of(items, sequence.kind);
}

Value Renderer::arithmetic(Op op, const Value& a, const Value& b) {
  const auto by_zero = [&] {
    if (b.number() == 0) fail("a division by zero");
  };
  if (op == Op::divide) {
    by_zero();
    return Value::of(a.number() / b.number());
  }
  if (a.is(Kind::real) || b.is(Kind::real) || (op == Op::power && b.whole() < 0)) {
    const double x = a.number(), y = b.number();
    switch (op) {
      case Op::add:
        return Value::of(x + y);
      case Op::subtract:
        return Value::of(x - y);
      case Op::multiply:
        return Value::of(x * y);
      case Op::power:
        if (x == 0 && y < 0) fail("a division by zero");
        return Value::of(std::pow(x, y));
      default: {
        by_zero();
        const double rest = std::fmod(x, y);
        const double modulo = rest != 0 && (rest < 0) != (y < 0) ? rest + y : rest;
        return Value::of(op == Op::modulo ? modulo : std::floor((x - modulo) / y + 0.5));
      }
    }
  }
  const int64_t x = a.whole(), y = b.whole();
  int64_t out = 0;
  bool overflows = false;
  switch (op) {
    case Op::add:
      overflows = __builtin_add_overflow(x, y, &out);
      break;
    case Op::subtract:
      overflows = __builtin_sub_overflow(x, y, &out);
      break;
    case Op::multiply:
      overflows = __builtin_mul_overflow(x, y, &out);
      break;
    case Op::power:
      out = 1;
      for (int64_t i = 0; i < y && !overflows; ++i) {
        overflows = __builtin_mul_overflow(out, x, &out);
        if (x == 0 || x == 1 || x == -1) {
          out = x == -1 && y % 2 == 0 ? 1 : x;
          break;
        }
      }
      break;
    default: {
      by_zero();
      overflows = y == -1 && x == INT64_MIN;
      if (overflows) break;
      const int64_t rest = x % y;
      const bool adjusts = rest != 0 && (rest < 0) != (y < 0);
      out = op == Op::modulo ? rest + (adjusts ? y : 0) : x / y - (adjusts ? 1 : 0);
    }
  }
  if (overflows) fail("a number beyond 64 bits");
  return Value::of(out);
}

/// Python's 'text %s' % values.
Value Renderer::formatted(const Value& form, const Value& values) {
  const std::span<const Value> given =
      values.is(Kind::tuple) ? values.list->all() : std::span(&values, 1);
  std::string out;
  size_t used = 0;
  for (size_t i = 0; i < form.size; ++i) {
    const char c = form.chars[i];
    if (c != '%') {
      out += c;
      continue;
    }
    const char kind = ++i < form.size ? form.chars[i] : '\0';
    if (kind == '%') {
      out += '%';
      continue;
    }
    if (kind != 's' && kind != 'd' && kind != 'i' && kind != 'r')
      fail("of the forms of '%' only %s, %d, %i, %r and %% are read");
    if (used == given.size()) fail("fewer values than the text has places for");
    const Value& value = given[used++];
    if ((kind == 'd' || kind == 'i')) {
      if (!value.is_number())
        fail(fmt::format("%{} of a value of type {}", kind, type_name(value)));
      if (value.is(Kind::real) && !(std::fabs(value.real) < 9e18)) fail("a number beyond 64 bits");
      out += fmt::format("{}",
                         value.is(Kind::real) ? static_cast<int64_t>(value.real) : value.whole());
    } else if (kind == 'r') {
      append_repr(value, out);
    } else {
      out += str(value);
    }
    room_for(out.size());
  }
  if (used < given.size() && !values.is(Kind::dict))
    fail("more values than the text has places for");
  return string(out);
}

std::string_view Renderer::str(const Value& value) {
  if (value.is_string()) return value.text();
  if (value.is(Kind::undefined)) return {};
  std::string text;
  append_str(value, text);
  work(text.size() / 64);
  return arena_.copy(text);
}

Value Renderer::list_of(std::span<const Value> items, Kind kind) {
  return Value::of(arena_.list(items), kind);
}

Space& Renderer::new_space() {
  if (spaces_.size() >= 100'000) throw Arena::OutOfMemory();
  return spaces_.emplace_back();
}

Value Renderer::callable(const Callable& callee) {
  Value out = Value::none();
  out.kind = Kind::callable;
  out.callable = arena_.make(callee);
  return out;
}

const List* Renderer::iterate(const Value& value) {
  switch (value.kind) {
    case Kind::list:
    case Kind::tuple:
      work(value.list->size);
      return value.list;
    case Kind::generator: {
      List rest{value.list->items + value.list->taken, value.list->size - value.list->taken};
      value.list->taken = value.list->size;
      work(rest.size);
      return arena_.make(rest);
    }
    case Kind::dict: {
      std::vector<Value> keys;
      for (const Entry& entry : value.dict->all()) keys.push_back(entry.key);
      work(keys.size());
      return arena_.list(keys);
    }
    case Kind::string: {
      std::vector<Value> characters;
      for (size_t i = 0; i < value.size;) {
        const size_t size = byte_of(value.text().substr(i), 1);
        characters.push_back(Value::of(value.text().substr(i, size)));
        i += size;
      }
      work(characters.size());
      return arena_.list(characters);
    }
    case Kind::undefined:
      return arena_.list({});
    default:
      fail(fmt::format("a value of type {} cannot be gone through", type_name(value)));
  }
}

int64_t Renderer::length(const Value& value) {
  switch (value.kind) {
    case Kind::string:
      work(value.size / 64);
      return jinja::length(value.text());
    case Kind::list:
    case Kind::tuple:
      return static_cast<int64_t>(value.list->size);
    case Kind::dict:
      return static_cast<int64_t>(value.dict->size);
    case Kind::undefined:
      return 0;
    default:
      fail(fmt::format("a value of type {} has no length", type_name(value)),
           value.is(Kind::generator) ? "make a list of it first: |list" : "");
  }
}

Value Renderer::loop_attribute(const Loop& loop, std::string_view name) {
  const auto index = static_cast<int64_t>(loop.index),
             size = static_cast<int64_t>(loop.items->size);
  if (name == "index") return Value::of(index + 1);
  if (name == "index0") return Value::of(index);
  if (name == "revindex") return Value::of(size - index);
  if (name == "revindex0") return Value::of(size - index - 1);
  if (name == "first") return Value::of(index == 0);
  if (name == "last") return Value::of(index + 1 == size);
  if (name == "length") return Value::of(size);
  if (name == "depth") return Value::of(int64_t{1});  // of loops that call themselves
  if (name == "depth0") return Value::of(int64_t{0});
  if (name == "previtem")
    return index == 0 ? Value::undefined("there is no previous item")
                      : loop.items->items[index - 1];
  if (name == "nextitem")
    return index + 1 == size ? Value::undefined("there is no next item")
                             : loop.items->items[index + 1];
  if (name == "cycle") {
    Value self = Value::none();
    self.kind = Kind::loop;
    self.loop = &loop;
    return callable({.form = Callable::Form::method,
                     .object = self,
                     .name = "cycle",
                     .builtin = find_method(Kind::loop, "cycle")});
  }
  if (name == "changed") fail("loop.changed is not read");
  return Value::undefined(name);
}

Value Renderer::attribute(const Value& object, std::string_view name) {
  if (object.is(Kind::undefined))
    fail(fmt::format("'{}' is undefined, and is asked for its '{}'", object.text(), name));
  if (name.starts_with("__")) fail(fmt::format("'{}' is not to be seen by templates", name));
  if (object.is(Kind::space)) {
    const Value* value = object.space->find(name);
    return value != nullptr ? *value : Value::undefined(name);
  }
  if (object.is(Kind::loop)) return loop_attribute(*object.loop, name);
  if (object.is_string() || object.is_sequence() || object.is(Kind::dict)) {
    if (const Builtin* method = find_method(object.kind, name))
      return callable(
          {.form = Callable::Form::method, .object = object, .name = name, .builtin = method});
    if (is_other_method(object.kind, name))
      return callable({.form = Callable::Form::other_method, .object = object, .name = name});
  }
  if (object.is(Kind::dict)) {
    if (const Value* value = object.dict->find(name)) return *value;
  }
  return Value::undefined(name);
}

Value Renderer::item(const Value& object, const Value& key) {
  if (object.is(Kind::undefined)) {
    fail(fmt::format("'{}' is undefined, and is asked for [{}]", object.text(),
                     key.is_string() ? fmt::format("'{}'", key.text().substr(0, 80)) : "..."));
  }
  if (object.is(Kind::dict)) {
    const Value* value = key.is_string() ? object.dict->find(key.text()) : object.dict->find(key);
    if (value != nullptr) return *value;
  }
  const bool is_index = key.is(Kind::integer) || key.is(Kind::boolean);
  if (is_index && (object.is_sequence() || object.is_string())) {
    const int64_t size = length(object), at = key.whole() < 0 ? key.whole() + size : key.whole();
    if (at < 0 || at >= size) return Value::undefined("the item of an index beyond the end");
    if (object.is_sequence()) return object.list->items[at];
    const std::string_view rest = object.text().substr(byte_of(object.text(), at));
    return Value::of(rest.substr(0, byte_of(rest, 1)));
  }
  if (key.is_string()) {
    const Value value = attribute(object, key.text());
    // a dict has its keys above; of its attributes only the methods
    return object.is(Kind::dict) && !value.is(Kind::callable) ? Value::undefined(key.text())
                                                              : value;
  }
  return Value::undefined("an item");
}

}  // namespace lmms::text::jinja
