/// Arguments of calls, the tests behind `is`, and functions.
#include "text/jinja/builtins.h"

#include <algorithm>

#include "core/format.h"
#include "text/jinja/renderer.h"
#include "text/jinja/strings.h"

namespace lmms::text::jinja {

void Call::fail(std::string what, std::string fix) const {
  renderer.fail(std::move(what), std::move(fix));
}

void Call::bind(std::span<const std::string_view> parameters, std::span<const Value*> out) const {
  if (arguments.size() > parameters.size())
    fail(fmt::format("'{}' takes at most {} arguments, and is given {}", name, parameters.size(),
                     arguments.size()));
  for (size_t i = 0; i < arguments.size(); ++i) out[i] = &arguments[i];
  for (const NamedValue& argument : named) {
    const auto parameter = std::ranges::find(parameters, argument.name);
    if (parameter == parameters.end())
      fail(fmt::format("'{}' takes no argument '{}'", name, argument.name));
    out[static_cast<size_t>(parameter - parameters.begin())] = &argument.value;
  }
}

namespace {

template <bool (*kHolds)(const Value&)>
Value test(const Call& call) {
  call.take_none();
  return Value::of(kHolds(call.self));
}

bool is_defined(const Value& v) {
  return !v.is(Kind::undefined);
}
bool is_undefined(const Value& v) {
  return v.is(Kind::undefined);
}
bool is_none(const Value& v) {
  return v.is(Kind::none);
}
bool is_boolean(const Value& v) {
  return v.is(Kind::boolean);
}
bool is_true(const Value& v) {
  return v.is(Kind::boolean) && v.boolean;
}
bool is_false(const Value& v) {
  return v.is(Kind::boolean) && !v.boolean;
}
bool is_integer(const Value& v) {
  return v.is(Kind::integer);
}
bool is_real(const Value& v) {
  return v.is(Kind::real);
}
bool is_number(const Value& v) {
  return v.is_number();
}
bool is_string(const Value& v) {
  return v.is_string();
}
bool is_mapping(const Value& v) {
  return v.is(Kind::dict);
}
bool is_callable(const Value& v) {
  return v.is(Kind::callable);
}
/// What has a length and items; Jinja counts the undefined among them.
bool is_sequence(const Value& v) {
  return v.is_string() || v.is_sequence() || v.is(Kind::dict) || v.is(Kind::undefined);
}
bool is_iterable(const Value& v) {
  return is_sequence(v) || v.is(Kind::generator) || v.is(Kind::loop);
}

Value has_case(const Call& call, CharClass wanted) {
  call.take_none();
  return Value::of(is_all(call.renderer.str(call.self), wanted));
}
Value is_lower(const Call& call) {
  return has_case(call, CharClass::lower);
}
Value is_upper(const Call& call) {
  return has_case(call, CharClass::upper);
}

const Value& other(const Call& call) {
  const auto [value] = call.bind({"other"});
  if (value == nullptr)
    call.fail(fmt::format("'is {}' wants something to compare with", call.name));
  return *value;
}

Value equals(const Call& call) {
  return Value::of(call.renderer.equals(call.self, other(call)));
}
Value differs(const Call& call) {
  return Value::of(!call.renderer.equals(call.self, other(call)));
}
Value less(const Call& call) {
  return Value::of(call.renderer.is_less(call.self, other(call)));
}
Value greater(const Call& call) {
  return Value::of(call.renderer.is_less(other(call), call.self));
}
Value at_most(const Call& call) {
  return Value::of(call.renderer.is_less(call.self, other(call)) ||
                   call.renderer.equals(call.self, other(call)));
}
Value at_least(const Call& call) {
  return Value::of(call.renderer.is_less(other(call), call.self) ||
                   call.renderer.equals(call.self, other(call)));
}
Value is_in(const Call& call) {
  return Value::of(call.renderer.contains(other(call), call.self));
}
Value same_as(const Call& call) {
  const Value& b = other(call);
  if (call.self.kind != b.kind) return Value::of(false);
  const bool scalar = b.is_number() || b.is_string() || b.is(Kind::none) || b.is(Kind::undefined);
  return Value::of(scalar ? call.renderer.equals(call.self, b) : call.self.chars == b.chars);
}

int64_t rest_of(const Call& call, int64_t divisor) {
  if (!call.self.is(Kind::integer) && !call.self.is(Kind::boolean))
    call.fail(
        fmt::format("'is {}' wants a whole number, found {}", call.name, type_name(call.self)));
  if (divisor == 0) call.fail("a division by zero");
  return divisor == -1 ? 0 : call.self.whole() % divisor;
}
Value is_odd(const Call& call) {
  call.take_none();
  return Value::of(rest_of(call, 2) != 0);
}
Value is_even(const Call& call) {
  call.take_none();
  return Value::of(rest_of(call, 2) == 0);
}
Value divisible_by(const Call& call) {
  const auto [number] = call.bind({"num"});
  if (number == nullptr || !number->is(Kind::integer))
    call.fail("'is divisibleby' wants a whole number");
  return Value::of(rest_of(call, number->integer) == 0);
}

constexpr Builtin kTests[] = {
    {"boolean", test<is_boolean>},
    {"callable", test<is_callable>},
    {"defined", test<is_defined>},
    {"divisibleby", divisible_by},
    {"eq", equals},
    {"equalto", equals},
    {"==", equals},
    {"even", is_even},
    {"false", test<is_false>},
    {"float", test<is_real>},
    {"ge", at_least},
    {">=", at_least},
    {"gt", greater},
    {"greaterthan", greater},
    {">", greater},
    {"in", is_in},
    {"integer", test<is_integer>},
    {"iterable", test<is_iterable>},
    {"le", at_most},
    {"<=", at_most},
    {"lower", is_lower},
    {"lt", less},
    {"lessthan", less},
    {"<", less},
    {"mapping", test<is_mapping>},
    {"ne", differs},
    {"!=", differs},
    {"none", test<is_none>},
    {"number", test<is_number>},
    {"odd", is_odd},
    {"sameas", same_as},
    {"sequence", test<is_sequence>},
    {"string", test<is_string>},
    {"true", test<is_true>},
    {"undefined", test<is_undefined>},
    {"upper", is_upper},
};

// Functions.

Value range(const Call& call) {
  constexpr int64_t kMost = 100'000;  // as Jinja's sandbox
  int64_t bounds[3] = {0, 0, 1};
  if (call.arguments.empty() || call.arguments.size() > 3 || !call.named.empty())
    call.fail("'range' takes one to three numbers");
  for (size_t i = 0; i < call.arguments.size(); ++i) {
    const Value& given = call.arguments[i];
    if (!given.is(Kind::integer) && !given.is(Kind::boolean))
      call.fail(fmt::format("'range' wants whole numbers, found {}", type_name(given)));
    bounds[call.arguments.size() == 1 ? 1 : i] = given.whole();
  }
  const auto [begin, end, step] = bounds;
  if (step == 0) call.fail("'range' by steps of 0");
  std::vector<Value> items;
  for (int64_t i = begin; step > 0 ? i < end : i > end;) {
    if (static_cast<int64_t>(items.size()) == kMost)
      call.fail(fmt::format("a range of more than {} numbers", kMost));
    items.push_back(Value::of(i));
    if (__builtin_add_overflow(i, step, &i)) break;
  }
  call.renderer.work(items.size());
  return call.renderer.list_of(items);
}

/// The entries that dict() and namespace() are given.
std::vector<Entry> entries_of(const Call& call) {
  std::vector<Entry> out;
  const auto put = [&](const Value& key, const Value& value) {
    const auto known = std::ranges::find_if(
        out, [&](const Entry& entry) { return call.renderer.equals(entry.key, key); });
    if (known != out.end()) {
      known->value = value;
    } else {
      out.push_back({key, value});
    }
  };
  if (call.arguments.size() > 1) call.fail(fmt::format("'{}' takes at most one dict", call.name));
  if (!call.arguments.empty()) {
    const Value& given = call.arguments[0];
    if (given.is(Kind::dict)) {
      for (const Entry& entry : given.dict->all()) put(entry.key, entry.value);
    } else {
      for (const Value& pair : call.renderer.iterate(given)->all()) {
        const bool is_pair =
            pair.is_sequence() && pair.list->size == 2 && pair.list->items[0].is_string();
        if (!is_pair)
          call.fail(fmt::format("'{}' wants a dict, or pairs of a text and a value", call.name));
        put(pair.list->items[0], pair.list->items[1]);
      }
    }
  }
  for (const NamedValue& argument : call.named) put(Value::of(argument.name), argument.value);
  return out;
}

Value dict(const Call& call) {
  return Value::of(call.renderer.arena().dict(entries_of(call)));
}

Value name_space(const Call& call) {
  Space& space = call.renderer.new_space();
  for (const Entry& entry : entries_of(call)) {
    if (!entry.key.is_string()) call.fail("a namespace wants texts for keys");
    space.attributes.push_back(entry);
  }
  Value out = Value::none();
  out.kind = Kind::space;
  out.space = &space;
  return out;
}

Value raise_exception(const Call& call) {
  const auto [message] = call.bind({"message"});
  const std::string_view words = message == nullptr ? "" : call.renderer.str(*message);
  call.fail(fmt::format("the template refuses this chat: {}", words.substr(0, 400)));
}

/// Zeller's congruence, from Sunday.
int weekday(int year, int month, int day) {
  const int m = month < 3 ? month + 12 : month, y = month < 3 ? year - 1 : year;
  return (day + 13 * (m + 1) / 5 + y + y / 4 - y / 100 + y / 400 + 6) % 7;
}

Value strftime_now(const Call& call) {
  constexpr std::string_view kMonths[] = {"January",   "February", "March",    "April",
                                          "May",       "June",     "July",     "August",
                                          "September", "October",  "November", "December"};
  constexpr std::string_view kDays[] = {"Sunday",   "Monday", "Tuesday", "Wednesday",
                                        "Thursday", "Friday", "Saturday"};
  const auto [given] = call.bind({"format"});
  if (given == nullptr || !given->is_string()) call.fail("'strftime_now' wants a format");
  const Options::Date today = call.renderer.options().today.value_or(Options::Date{1970, 1, 1});
  const auto month = kMonths[std::clamp(today.month, 1, 12) - 1];
  const auto day = kDays[weekday(today.year, today.month, today.day)];
  std::string out;
  const std::string_view form = given->text();
  for (size_t i = 0; i < form.size(); ++i) {
    if (form[i] != '%') {
      out += form[i];
      continue;
    }
    const bool bare = ++i < form.size() && form[i] == '-';
    i += bare;
    const auto number = [&](int value) {
      return bare ? fmt::format("{}", value) : fmt::format("{:02}", value);
    };
    switch (i < form.size() ? form[i] : '\0') {
      case 'd':
        out += number(today.day);
        break;
      case 'e':
        out += fmt::format("{:2}", today.day);
        break;
      case 'm':
        out += number(today.month);
        break;
      case 'Y':
        out += fmt::format("{}", today.year);
        break;
      case 'y':
        out += number(today.year % 100);
        break;
      case 'B':
        out += month;
        break;
      case 'b':
        out += month.substr(0, 3);
        break;
      case 'A':
        out += day;
        break;
      case 'a':
        out += day.substr(0, 3);
        break;
      case 'F':
        out += fmt::format("{}-{:02}-{:02}", today.year, today.month, today.day);
        break;
      case 'H':
      case 'M':
      case 'S':
        out += number(0);  // a day has no hour here
        break;
      case '%':
        out += '%';
        break;
      default:
        call.fail("of the forms of a date %d %e %m %Y %y %B %b %A %a %F %H %M %S %% are read");
    }
  }
  return call.renderer.string(out);
}

constexpr Builtin kFunctions[] = {{"namespace", name_space},
                                  {"raise_exception", raise_exception},
                                  {"range", range},
                                  {"dict", dict},
                                  {"strftime_now", strftime_now}};

}  // namespace

const Builtin* find_test(std::string_view name) {
  const auto found = std::ranges::find(kTests, name, &Builtin::name);
  return found == std::end(kTests) ? nullptr : found;
}

std::vector<std::string> test_names() {
  std::vector<std::string> out;
  for (const Builtin& test : kTests) out.emplace_back(test.name);
  return out;
}

const Builtin* find_function(std::string_view name) {
  const auto found = std::ranges::find(kFunctions, name, &Builtin::name);
  return found == std::end(kFunctions) ? nullptr : found;
}

}  // namespace lmms::text::jinja
