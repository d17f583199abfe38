/// The expressions of a template, and its calls.
#include <algorithm>

#include "core/format.h"
#include "text/jinja/renderer.h"
#include "text/jinja/strings.h"

namespace lmms::text::jinja {

using Form = Expression::Form;

Value Renderer::evaluate(const Expression& e, Scope& scope) {
  const Deeper deeper(*this);
  at_ = e.at;
  switch (e.form) {
    case Form::constant:
      return e.constant;
    case Form::name:
      return evaluate_name(e, scope);
    case Form::list:
    case Form::tuple:
      return list_of(arguments_of(e, 0, scope).positional,
                     e.form == Form::list ? Kind::list : Kind::tuple);
    case Form::dict:
      return evaluate_dict(e, scope);
    case Form::attribute:
      return evaluate_attribute(e, scope);
    case Form::item: {
      const Value object = evaluate(*e.children[0], scope);
      const Value key = evaluate(*e.children[1], scope);
      at_ = e.at;
      return item(object, key);
    }
    case Form::slice:
      return evaluate_slice(e, scope);
    case Form::call:
      return evaluate_call(e, scope);
    case Form::filter:
    case Form::test:
      return evaluate_builtin(e, evaluate(*e.children[0], scope), scope);
    case Form::negative:
    case Form::positive: {
      const Value value = evaluate(*e.children[0], scope);
      at_ = e.at;
      return e.form == Form::positive ? binary(Op::add, Value::of(int64_t{0}), value)
                                      : binary(Op::subtract, Value::of(int64_t{0}), value);
    }
    case Form::logical_not:
      return Value::of(!truth(evaluate(*e.children[0], scope)));
    case Form::logical_and:
    case Form::logical_or: {
      const Value left = evaluate(*e.children[0], scope);
      return truth(left) == (e.form == Form::logical_or) ? left : evaluate(*e.children[1], scope);
    }
    case Form::binary: {
      const Value left = evaluate(*e.children[0], scope);
      const Value right = evaluate(*e.children[1], scope);
      at_ = e.at;
      return binary(e.op, left, right);
    }
    case Form::compare:
      return evaluate_compare(e, scope);
    case Form::conditional:
      if (truth(evaluate(*e.children[0], scope))) return evaluate(*e.children[1], scope);
      return e.children[2] == nullptr ? Value::undefined("the value of an if without else")
                                      : evaluate(*e.children[2], scope);
  }
  return {};
}

Value Renderer::evaluate_name(const Expression& e, const Scope& scope) {
  for (const Scope* at = &scope; at != nullptr; at = at->parent) {
    if (const Value* value = at->find(e.symbol)) return *value;
  }
  const Builtin* function = find_function(e.text);
  if (function == nullptr || (e.text == "strftime_now" && !options_.today))
    return Value::undefined(e.text);
  return callable({.form = Callable::Form::function, .name = e.text, .builtin = function});
}

Value Renderer::evaluate_dict(const Expression& e, Scope& scope) {
  std::vector<Entry> entries;
  for (size_t i = 0; i < e.children.size(); i += 2) {
    const Value key = evaluate(*e.children[i], scope);
    const Value value = evaluate(*e.children[i + 1], scope);
    if (!key.is_string() && !key.is_number() && !key.is(Kind::none)) {
      at_ = e.at;
      fail(fmt::format("a key of type {}", type_name(key)), "keys are texts, numbers or none");
    }
    const auto known =
        std::ranges::find_if(entries, [&](const Entry& entry) { return equals(entry.key, key); });
    if (known != entries.end()) {
      known->value = value;
    } else {
      entries.push_back({key, value});
    }
  }
  return Value::of(arena_.dict(entries));
}

Value Renderer::evaluate_attribute(const Expression& e, Scope& scope) {
  const Value object = evaluate(*e.children[0], scope);
  at_ = e.at;
  if (object.is(Kind::dict) && e.methods.of_dict == nullptr && !e.methods.other) {
    const Value* value = object.dict->find(e.text);  // the usual
    return value != nullptr ? *value : Value::undefined(e.text);
  }
  return attribute(object, e.text);
}

Renderer::Arguments Renderer::arguments_of(const Expression& e, size_t first, Scope& scope) {
  Arguments out;
  out.positional.reserve(e.children.size() - first);
  for (size_t i = first; i < e.children.size(); ++i)
    out.positional.push_back(evaluate(*e.children[i], scope));
  for (const KeywordArgument& keyword : e.keywords)
    out.named.push_back({keyword.name, evaluate(*keyword.value, scope)});
  return out;
}

Value Renderer::evaluate_call(const Expression& e, Scope& scope) {
  const Expression& callee = *e.children[0];
  if (callee.form == Form::attribute) {  // a method, without making a value of it
    const Value object = evaluate(*callee.children[0], scope);
    const Builtin* method = object.is_string()      ? callee.methods.of_string
                            : object.is_sequence()  ? callee.methods.of_list
                            : object.is(Kind::dict) ? callee.methods.of_dict
                                                    : nullptr;
    at_ = callee.at;
    const Value other = method == nullptr ? attribute(object, callee.text) : Value::none();
    const Arguments arguments = arguments_of(e, 1, scope);
    at_ = callee.at;
    if (method == nullptr) return call(other, arguments.positional, arguments.named);
    return method->run({*this, callee.text, object, arguments.positional, arguments.named});
  }
  const Value value = evaluate(callee, scope);
  const Arguments arguments = arguments_of(e, 1, scope);
  at_ = callee.at;
  return call(value, arguments.positional, arguments.named);
}

Value Renderer::evaluate_builtin(const Expression& e, const Value& self, Scope& scope) {
  const Arguments arguments = arguments_of(e, 1, scope);
  at_ = e.at;
  return e.builtin->run({*this, e.text, self, arguments.positional, arguments.named});
}

/// Filters of a block, the first of which has no child.
Value Renderer::filtered(const Expression& filter, const Value& text, Scope& scope) {
  const Expression* inner = filter.children[0];
  return evaluate_builtin(filter, inner == nullptr ? text : filtered(*inner, text, scope), scope);
}

Value Renderer::evaluate_compare(const Expression& e, Scope& scope) {
  Value left = evaluate(*e.children[0], scope);
  for (size_t i = 0; i < e.ops.size(); ++i) {
    const Value right = evaluate(*e.children[i + 1], scope);
    at_ = e.at;
    if (!holds(e.ops[i], left, right)) return Value::of(false);
    left = right;
  }
  return Value::of(true);
}

bool Renderer::holds(Op op, const Value& a, const Value& b) {
  switch (op) {
    case Op::equal:
      return equals(a, b);
    case Op::unequal:
      return !equals(a, b);
    case Op::in:
      return contains(b, a);
    case Op::not_in:
      return !contains(b, a);
    case Op::less:
      return is_less(a, b);
    case Op::greater:
      return is_less(b, a);
    case Op::at_most:
      return is_less(a, b) || equals(a, b);
    default:
      return is_less(b, a) || equals(a, b);
  }
}

Value Renderer::evaluate_slice(const Expression& e, Scope& scope) {
  const Value object = evaluate(*e.children[0], scope);
  std::optional<int64_t> parts[3];
  for (size_t i = 0; i < 3; ++i) {
    if (e.children[i + 1] == nullptr) continue;
    const Value part = evaluate(*e.children[i + 1], scope);
    if (part.is(Kind::none)) continue;
    at_ = e.at;
    if (!part.is(Kind::integer) && !part.is(Kind::boolean))
      fail(fmt::format("a slice wants whole numbers, found {}", type_name(part)));
    parts[i] = part.whole();
  }
  at_ = e.at;
  if (object.is(Kind::undefined)) fail(fmt::format("'{}' is undefined", object.text()));
  if (!object.is_string() && !object.is_sequence())
    fail(fmt::format("a value of type {} has no slices", type_name(object)));
  const int64_t step = parts[2].value_or(1);
  if (step == 0) fail("a slice of step 0");
  const int64_t size = length(object);
  const auto place = [&](const std::optional<int64_t>& part, int64_t otherwise) {
    if (!part) return otherwise;
    const int64_t at = *part < 0 ? (*part < -size ? -1 : *part + size) : *part;
    return step > 0 ? std::clamp<int64_t>(at, 0, size) : std::clamp<int64_t>(at, -1, size - 1);
  };
  const int64_t begin = place(parts[0], step > 0 ? 0 : size - 1);
  const int64_t end = place(parts[1], step > 0 ? size : -1);
  if (object.is_string() && step == 1) {
    if (begin >= end) return Value::of(std::string_view());
    work(object.size / 64);
    const std::string_view text = object.text();
    const size_t from = is_ascii(text) ? static_cast<size_t>(begin) : byte_of(text, begin);
    const std::string_view rest = text.substr(from);
    return Value::of(rest.substr(
        0, is_ascii(rest) ? static_cast<size_t>(end - begin) : byte_of(rest, end - begin)));
  }
  const List* items = iterate(object);
  std::vector<Value> chosen;
  for (int64_t i = begin; step > 0 ? i < end : i > end;) {
    chosen.push_back(items->items[i]);
    if (step > 0 ? i > size - step : i < -1 - step) break;  // would leave the range, or the numbers
    i += step;
  }
  work(chosen.size());
  if (object.is_sequence()) return list_of(chosen, object.kind);
  std::string text;
  for (const Value& character : chosen) text += character.text();
  return string(text);
}

Value Renderer::call(const Value& callee, std::span<const Value> arguments,
                     std::span<const NamedValue> named) {
  if (callee.is(Kind::undefined))
    fail(fmt::format("'{}' is undefined, and is called", callee.text()));
  if (!callee.is(Kind::callable))
    fail(fmt::format("a value of type {} is called", type_name(callee)));
  const Callable& what = *callee.callable;
  switch (what.form) {
    case Callable::Form::macro:
      return macro(what, arguments, named);
    case Callable::Form::method:
    case Callable::Form::function:
      return what.builtin->run({*this, what.name, what.object, arguments, named});
    case Callable::Form::other_method:
      fail(fmt::format("the method '{}' of {} is not among those that are read", what.name,
                       type_name(what.object)),
           "values of a template do not change; of a text, list or dict the usual questions are "
           "read");
  }
  return {};
}

Value Renderer::macro(const Callable& callee, std::span<const Value> arguments,
                      std::span<const NamedValue> named) {
  const Deeper deeper(*this);
  const uint32_t at = at_;
  const Macro& macro = *callee.macro;
  if (arguments.size() > macro.parameters.size())
    fail(fmt::format("macro '{}' takes {} arguments, and is given {}", macro.name,
                     macro.parameters.size(), arguments.size()));
  Scope& scope = open_scope(*callee.scope);
  std::vector<bool> given(macro.parameters.size());
  for (size_t i = 0; i < arguments.size(); ++i) {
    scope.variables.emplace_back(macro.parameters[i].symbol, arguments[i]);
    given[i] = true;
  }
  for (const NamedValue& argument : named) {
    const auto parameter = std::ranges::find(macro.parameters, argument.name, &Parameter::name);
    if (parameter == macro.parameters.end()) {
      if (argument.name != "caller")
        fail(fmt::format("macro '{}' has no parameter '{}'", macro.name, argument.name));
      scope.variables.emplace_back(kCallerSymbol, argument.value);
      continue;
    }
    const auto i = static_cast<size_t>(parameter - macro.parameters.begin());
    if (given[i]) fail(fmt::format("macro '{}' is given '{}' twice", macro.name, argument.name));
    given[i] = true;
    scope.variables.emplace_back(parameter->symbol, argument.value);
  }
  for (size_t i = 0; i < given.size(); ++i) {
    if (given[i]) continue;
    const Parameter& parameter = macro.parameters[i];
    scope.variables.emplace_back(parameter.symbol, parameter.otherwise != nullptr
                                                       ? evaluate(*parameter.otherwise, scope)
                                                       : Value::undefined(parameter.name));
  }
  std::string text;
  std::string* const outer = std::exchange(out_, &text);
  run(macro.body, scope);
  out_ = outer;
  held_ -= text.size();
  close_scope(scope);
  at_ = at;
  return string(text);
}

}  // namespace lmms::text::jinja
