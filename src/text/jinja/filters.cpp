/// Filters, as Jinja has them, and transformers' tojson.
#include <algorithm>
#include <charconv>
#include <cmath>
#include <functional>

#include "core/format.h"
#include "text/jinja/renderer.h"
#include "text/jinja/strings.h"

namespace lmms::text::jinja {
namespace {

using Span = std::span<const Value>;

bool flag(const Value* given, bool otherwise) {
  return given == nullptr ? otherwise : truth(*given);
}

std::string_view text_of(const Call& call) {
  return call.renderer.str(call.self);
}

std::optional<int64_t> whole(const Call& call, const Value* given) {
  if (given == nullptr || given->is(Kind::none)) return std::nullopt;
  if (!given->is(Kind::integer) && !given->is(Kind::boolean))
    call.fail(fmt::format("'{}' wants a whole number, found {}", call.name, type_name(*given)));
  return given->whole();
}

Value generator(Renderer& renderer, Span items) {
  return renderer.list_of(items, Kind::generator);
}

/// What "a.0.b" finds in a value; as obj['a'][0]['b'].
Value found_at(const Call& call, Value value, const Value& path) {
  if (!path.is_string()) return call.renderer.item(value, path);
  for (const std::string_view part : split(path.text(), ".", -1)) {
    int64_t index = 0;
    const char* const end = part.data() + part.size();
    const bool is_index =
        is_all(part, CharClass::digit) && std::from_chars(part.data(), end, index).ptr == end;
    value = call.renderer.item(value, is_index ? Value::of(index) : Value::of(part));
  }
  return value;
}

Value lower_case(const Call& call) {
  call.take_none();
  return call.renderer.string(lower(text_of(call)));
}

Value upper_case(const Call& call) {
  call.take_none();
  return call.renderer.string(upper(text_of(call)));
}

Value title_case(const Call& call) {
  call.take_none();
  return call.renderer.string(title(text_of(call)));
}

Value capitalized(const Call& call) {
  call.take_none();
  return call.renderer.string(capitalize(text_of(call)));
}

Value trimmed(const Call& call) {
  const auto [chars] = call.bind({"chars"});
  std::optional<std::string_view> set;
  if (chars != nullptr && !chars->is(Kind::none)) set = call.renderer.str(*chars);
  return Value::of(strip(text_of(call), Side::both, set));
}

Value replaced(const Call& call) {
  const auto [from, to, count] = call.bind({"old", "new", "count"});
  if (from == nullptr || to == nullptr) call.fail("'replace' wants what to replace, and by what");
  const std::string_view text = text_of(call), old = call.renderer.str(*from);
  const std::string_view by = call.renderer.str(*to);
  call.renderer.room_for(text.size() +
                         (text.size() / std::max<size_t>(old.size(), 1) + 1) * by.size());
  call.renderer.work(text.size() / 16);
  return call.renderer.string(replace(text, old, by, whole(call, count).value_or(-1)));
}

Value to_text(const Call& call) {
  call.take_none();
  return Value::of(text_of(call));
}

Value safe(const Call& call) {
  call.fail("'safe' is read at the end of {{ ... }} alone", "leave it out: nothing is escaped");
}

Value length_of(const Call& call) {
  call.take_none();
  return Value::of(call.renderer.length(call.self));
}

Value default_value(const Call& call) {
  const auto [otherwise, boolean] = call.bind({"default_value", "boolean"});
  const bool keeps = !call.self.is(Kind::undefined) && (!flag(boolean, false) || truth(call.self));
  if (keeps) return call.self;
  return otherwise != nullptr ? *otherwise : Value::of(std::string_view());
}

Value first(const Call& call) {
  call.take_none();
  const List* items = call.renderer.iterate(call.self);
  return items->size == 0 ? Value::undefined("the first item of nothing") : items->items[0];
}

Value last(const Call& call) {
  call.take_none();
  if (call.self.is(Kind::generator)) call.renderer.length(call.self);  // has none, and says so
  const List* items = call.renderer.iterate(call.self);
  return items->size == 0 ? Value::undefined("the last item of nothing")
                          : items->items[items->size - 1];
}

Value joined(const Call& call) {
  const auto [between, path] = call.bind({"d", "attribute"});
  const std::string_view separator = between == nullptr ? "" : call.renderer.str(*between);
  std::string out;
  bool begun = false;
  for (const Value& item : call.renderer.iterate(call.self)->all()) {
    if (begun) out += separator;
    begun = true;
    const bool inside = path != nullptr && !path->is(Kind::none);
    out += call.renderer.str(inside ? found_at(call, item, *path) : item);
    call.renderer.room_for(out.size());
  }
  return call.renderer.string(out);
}

Value list(const Call& call) {
  call.take_none();
  return call.renderer.list_of(call.renderer.iterate(call.self)->all());
}

Value reversed(const Call& call) {
  call.take_none();
  const Span items = call.renderer.iterate(call.self)->all();
  std::vector<Value> out(items.rbegin(), items.rend());
  if (!call.self.is_string()) return generator(call.renderer, out);
  std::string text;
  for (const Value& character : out) text += character.text();
  return call.renderer.string(text);
}

Value items_of(const Call& call) {
  call.take_none();
  std::vector<Value> out;
  if (!call.self.is(Kind::undefined)) {
    if (!call.self.is(Kind::dict))
      call.fail(fmt::format("'items' wants a dict, found {}", type_name(call.self)));
    for (const Entry& entry : call.self.dict->all())
      out.push_back(call.renderer.list_of(std::array{entry.key, entry.value}, Kind::tuple));
  }
  return generator(call.renderer, out);
}

/// `value`, in lower case if it is a text and case does not count.
Value sort_key(const Call& call, const Value& value, bool case_sensitive) {
  return value.is_string() && !case_sensitive ? call.renderer.string(lower(value.text())) : value;
}

std::vector<Value> sorted(const Call& call, Span items, bool reverse,
                          const std::function<Value(const Value&)>& key) {
  std::vector<std::pair<Value, Value>> keyed;
  for (const Value& item : items) keyed.emplace_back(key(item), item);
  const auto less = [&](const auto& a, const auto& b) {
    return reverse ? call.renderer.is_less(b.first, a.first)
                   : call.renderer.is_less(a.first, b.first);
  };
  std::stable_sort(keyed.begin(), keyed.end(), less);
  std::vector<Value> out;
  for (const auto& [k, item] : keyed) out.push_back(item);
  return out;
}

Value dict_sorted(const Call& call) {
  const auto [sensitive, by, reverse] = call.bind({"case_sensitive", "by", "reverse"});
  const bool by_value = by != nullptr && by->is_string() && by->text() == "value";
  std::vector<Value> pairs;
  if (!call.self.is(Kind::dict))
    call.fail(fmt::format("'dictsort' wants a dict, found {}", type_name(call.self)));
  for (const Entry& entry : call.self.dict->all())
    pairs.push_back(call.renderer.list_of(std::array{entry.key, entry.value}, Kind::tuple));
  return call.renderer.list_of(sorted(call, pairs, flag(reverse, false), [&](const Value& pair) {
    return sort_key(call, pair.list->items[by_value ? 1 : 0], flag(sensitive, false));
  }));
}

/// The key that `attribute` and `case_sensitive` ask for.
std::function<Value(const Value&)> key_of(const Call& call, const Value* sensitive,
                                          const Value* path) {
  return [&call, sensitive, path](const Value& item) {
    const bool inside = path != nullptr && !path->is(Kind::none);
    return sort_key(call, inside ? found_at(call, item, *path) : item, flag(sensitive, false));
  };
}

Value sorted_list(const Call& call) {
  const auto [reverse, sensitive, path] = call.bind({"reverse", "case_sensitive", "attribute"});
  return call.renderer.list_of(sorted(call, call.renderer.iterate(call.self)->all(),
                                      flag(reverse, false), key_of(call, sensitive, path)));
}

Value unique(const Call& call) {
  const auto [sensitive, path] = call.bind({"case_sensitive", "attribute"});
  const auto key = key_of(call, sensitive, path);
  std::vector<Value> seen, out;
  for (const Value& item : call.renderer.iterate(call.self)->all()) {
    const Value k = key(item);
    const bool known =
        std::ranges::any_of(seen, [&](const Value& s) { return call.renderer.equals(s, k); });
    if (known) continue;
    seen.push_back(k);
    out.push_back(item);
  }
  return generator(call.renderer, out);
}

Value extreme(const Call& call, bool least) {
  const auto [sensitive, path] = call.bind({"case_sensitive", "attribute"});
  const auto key = key_of(call, sensitive, path);
  const List* items = call.renderer.iterate(call.self);
  if (items->size == 0) return Value::undefined("the least and the greatest of nothing");
  const Value* best = &items->items[0];
  for (const Value& item : items->all()) {
    const Value a = key(least ? item : *best), b = key(least ? *best : item);
    if (call.renderer.is_less(a, b)) best = &item;
  }
  return *best;
}

Value least(const Call& call) {
  return extreme(call, true);
}

Value greatest(const Call& call) {
  return extreme(call, false);
}

Value sum(const Call& call) {
  const auto [path, start] = call.bind({"attribute", "start"});
  const bool inside = path != nullptr && !path->is(Kind::none);
  double real = start != nullptr && start->is_number() ? start->number() : 0;
  int64_t whole_sum = start != nullptr && start->is_number() ? start->whole() : 0;
  bool is_real = start != nullptr && start->is(Kind::real);
  for (const Value& item : call.renderer.iterate(call.self)->all()) {
    const Value value = inside ? found_at(call, item, *path) : item;
    if (!value.is_number())
      call.fail(fmt::format("'sum' adds numbers, found {}", type_name(value)));
    is_real |= value.is(Kind::real);
    real += value.number();
    if (!is_real && __builtin_add_overflow(whole_sum, value.whole(), &whole_sum))
      call.fail("a number beyond 64 bits");
  }
  return is_real ? Value::of(real) : Value::of(whole_sum);
}

/// Jinja's map and select take whatever is false for nothing, none too.
Span items_if_any(const Call& call) {
  return truth(call.self) ? call.renderer.iterate(call.self)->all() : Span();
}

Value mapped(const Call& call) {
  std::vector<Value> out;
  const Span items = items_if_any(call);
  if (call.arguments.empty()) {
    const auto [path, otherwise] = call.bind({"attribute", "default"});
    if (path == nullptr) call.fail("'map' wants the name of a filter, or attribute=");
    for (const Value& item : items) {
      Value value = found_at(call, item, *path);
      if (value.is(Kind::undefined) && otherwise != nullptr) value = *otherwise;
      out.push_back(value);
    }
    return generator(call.renderer, out);
  }
  const Value& name = call.arguments[0];
  const Builtin* filter = name.is_string() ? find_filter(name.text()) : nullptr;
  if (filter == nullptr)
    call.fail(fmt::format("the filter '{}' is not among those that are read",
                          call.renderer.str(name).substr(0, 80)));
  for (const Value& item : items)
    out.push_back(
        filter->run({call.renderer, name.text(), item, call.arguments.subspan(1), call.named}));
  return generator(call.renderer, out);
}

/// select, reject, and of an attribute selectattr, rejectattr.
Value chosen(const Call& call, bool of_attribute, bool wanted) {
  std::vector<Value> out;
  Span arguments = call.arguments;
  if (of_attribute && arguments.empty())
    call.fail(fmt::format("'{}' wants an attribute", call.name));
  const Value path = of_attribute ? arguments[0] : Value::none();
  if (of_attribute) arguments = arguments.subspan(1);
  const Builtin* test = nullptr;
  if (!arguments.empty()) {
    test = arguments[0].is_string() ? find_test(arguments[0].text()) : nullptr;
    if (test == nullptr)
      call.fail(fmt::format("the test '{}' is not among those that are read",
                            call.renderer.str(arguments[0]).substr(0, 80)));
  }
  for (const Value& item : items_if_any(call)) {
    const Value value = of_attribute ? found_at(call, item, path) : item;
    const bool holds = test == nullptr ? truth(value)
                                       : truth(test->run({call.renderer, test->name, value,
                                                          arguments.subspan(1), call.named}));
    if (holds == wanted) out.push_back(item);
  }
  return generator(call.renderer, out);
}

Value select(const Call& call) {
  return chosen(call, false, true);
}

Value reject(const Call& call) {
  return chosen(call, false, false);
}

Value select_attribute(const Call& call) {
  return chosen(call, true, true);
}

Value reject_attribute(const Call& call) {
  return chosen(call, true, false);
}

Value indented(const Call& call) {
  const auto [width, first_too, blank_too] = call.bind({"width", "first", "blank"});
  std::string indention = "    ";
  if (width != nullptr && width->is_string()) {
    indention = width->text();
  } else if (const auto columns = whole(call, width)) {
    if (*columns > 1000) call.fail("'indent' by more than 1000 columns");
    indention.assign(static_cast<size_t>(std::max<int64_t>(*columns, 0)), ' ');
  }
  const std::string text = std::string(text_of(call)) + "\n";
  const auto lines = split_lines(text, false);
  call.renderer.room_for(text.size() + lines.size() * indention.size());
  std::string out = flag(first_too, false) ? indention : "";
  for (size_t i = 0; i < lines.size(); ++i) {
    if (i > 0) out += "\n";
    if (i > 0 && (!lines[i].empty() || flag(blank_too, false))) out += indention;
    out += lines[i];
  }
  return call.renderer.string(out);
}

/// The number that a text spells, with Python's white space and underscores around and in it.
template <class T>
std::optional<T> spelled(std::string_view text) {
  std::string digits(strip(text, Side::both));
  std::erase(digits, '_');
  std::string_view rest = digits;
  if (rest.starts_with('+')) rest.remove_prefix(1);
  T out{};
  const auto [end, error] = std::from_chars(rest.data(), rest.data() + rest.size(), out);
  if (rest.empty() || error != std::errc() || end != rest.data() + rest.size()) return std::nullopt;
  return out;
}

Value to_whole(const Call& call) {
  const auto [otherwise, base] = call.bind({"default", "base"});
  if (base != nullptr && !call.renderer.equals(*base, Value::of(int64_t{10})))
    call.fail("'int' of another base than 10 is not read");
  const Value fallback = otherwise != nullptr ? *otherwise : Value::of(int64_t{0});
  double real = 0;
  if (call.self.is_string()) {
    if (const auto number = spelled<int64_t>(call.self.text())) return Value::of(*number);
    const auto number = spelled<double>(call.self.text());
    if (!number) return fallback;
    real = *number;
  } else if (call.self.is(Kind::real)) {
    real = call.self.real;
  } else {
    return call.self.is_number() ? Value::of(call.self.whole()) : fallback;
  }
  return std::fabs(real) < 9e18 ? Value::of(static_cast<int64_t>(real)) : fallback;
}

Value to_real(const Call& call) {
  const auto [otherwise] = call.bind({"default"});
  if (call.self.is_number()) return Value::of(call.self.number());
  const auto number =
      call.self.is_string() ? spelled<double>(call.self.text()) : std::optional<double>();
  if (number) return Value::of(*number);
  return otherwise != nullptr ? *otherwise : Value::of(0.0);
}

Value absolute(const Call& call) {
  call.take_none();
  if (!call.self.is_number() || (!call.self.is(Kind::real) && call.self.whole() == INT64_MIN))
    call.fail(fmt::format("'abs' wants a number, found {}", type_name(call.self)));
  return call.self.is(Kind::real) ? Value::of(std::fabs(call.self.real))
                                  : Value::of(std::abs(call.self.whole()));
}

Value rounded(const Call& call) {
  const auto [precision, method] = call.bind({"precision", "method"});
  if (!call.self.is_number())
    call.fail(fmt::format("'round' wants a number, found {}", type_name(call.self)));
  const int64_t digits = whole(call, precision).value_or(0);
  const std::string_view how = method == nullptr ? "common" : call.renderer.str(*method);
  if (digits < 0 || digits > 15) call.fail("'round' to 0 to 15 digits is read");
  if (how != "common" && how != "ceil" && how != "floor")
    call.fail("'round' is 'common', 'ceil' or 'floor'");
  if (how == "common" && !call.self.is(Kind::real)) return Value::of(call.self.whole());
  const double value = call.self.number();
  if (how != "common") {
    const double scale = std::pow(10.0, static_cast<double>(digits));
    return Value::of((how == "ceil" ? std::ceil(value * scale) : std::floor(value * scale)) /
                     scale);
  }
  if (!std::isfinite(value)) return call.self;
  // of the exact value, halves to even: as printf
  return Value::of(*spelled<double>(fmt::format("{:.{}f}", value, digits)));
}

Value to_json(const Call& call) {
  const auto [ascii, indent, separators, sort] =
      call.bind({"ensure_ascii", "indent", "separators", "sort_keys"});
  JsonForm form;
  form.ensure_ascii = flag(ascii, false);
  form.sort_keys = flag(sort, false);
  if (indent != nullptr && !indent->is(Kind::none)) {
    form.indents = true;
    form.item_separator = ",";
    if (indent->is_string()) {
      form.indent = indent->text().substr(0, 100);
    } else {
      const int64_t columns = whole(call, indent).value_or(0);
      if (columns > 100) call.fail("'tojson' with an indent of more than 100 columns");
      form.indent.assign(static_cast<size_t>(std::max<int64_t>(columns, 0)), ' ');
    }
  }
  if (separators != nullptr && !separators->is(Kind::none)) {
    const bool pair = separators->is_sequence() && separators->list->size == 2 &&
                      separators->list->items[0].is_string() &&
                      separators->list->items[1].is_string();
    if (!pair) call.fail("'separators' wants two texts: (',', ':')");
    form.item_separator = separators->list->items[0].text();
    form.key_separator = separators->list->items[1].text();
    if (form.item_separator.size() + form.key_separator.size() > 100)
      call.fail("'tojson' with separators of more than 100 bytes");
  }
  std::string out;
  append_json(call.self, form, out);
  call.renderer.work(out.size() / 16);
  return call.renderer.string(out);
}

Value word_count(const Call& call) {
  call.take_none();
  int64_t words = 0;
  bool inside = false;  // \w+: letters, digits and underscores
  for (const Value& character : call.renderer.iterate(Value::of(text_of(call)))->all()) {
    const bool is_word = character.text() == "_" || is_all(character.text(), CharClass::alnum);
    words += is_word && !inside;
    inside = is_word;
  }
  return Value::of(words);
}

Value attribute_of(const Call& call) {
  const auto [name] = call.bind({"name"});
  if (name == nullptr || !name->is_string()) call.fail("'attr' wants the name of an attribute");
  const Value value = call.renderer.attribute(call.self, name->text());
  return call.self.is(Kind::dict) && !value.is(Kind::callable) ? Value::undefined(name->text())
                                                               : value;
}

constexpr Builtin kFilters[] = {
    {"abs", absolute},
    {"attr", attribute_of},
    {"capitalize", capitalized},
    {"count", length_of},
    {"d", default_value},
    {"default", default_value},
    {"dictsort", dict_sorted},
    {"first", first},
    {"float", to_real},
    {"indent", indented},
    {"int", to_whole},
    {"items", items_of},
    {"join", joined},
    {"last", last},
    {"length", length_of},
    {"list", list},
    {"lower", lower_case},
    {"map", mapped},
    {"max", greatest},
    {"min", least},
    {"reject", reject},
    {"rejectattr", reject_attribute},
    {"replace", replaced},
    {"reverse", reversed},
    {"round", rounded},
    {"safe", safe},
    {"select", select},
    {"selectattr", select_attribute},
    {"sort", sorted_list},
    {"string", to_text},
    {"sum", sum},
    {"title", title_case},
    {"tojson", to_json},
    {"trim", trimmed},
    {"unique", unique},
    {"upper", upper_case},
    {"wordcount", word_count},
};

}  // namespace

const Builtin* find_filter(std::string_view name) {
  const auto found = std::ranges::find(kFilters, name, &Builtin::name);
  return found == std::end(kFilters) ? nullptr : found;
}

std::vector<std::string> filter_names() {
  std::vector<std::string> out;
  for (const Builtin& filter : kFilters) out.emplace_back(filter.name);
  return out;
}

}  // namespace lmms::text::jinja
