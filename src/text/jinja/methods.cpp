/// Methods of texts, lists and dicts, as Python has them; none that changes its object.
#include <algorithm>

#include "core/format.h"
#include "text/jinja/renderer.h"
#include "text/jinja/strings.h"

namespace lmms::text::jinja {
namespace {

std::string_view text(const Call& call, const Value* given, std::string_view what) {
  if (given == nullptr || !given->is_string())
    call.fail(fmt::format("'{}' wants a text for its {}", call.name, what));
  return given->text();
}

int64_t whole_or(const Call& call, const Value* given, int64_t otherwise) {
  if (given == nullptr || given->is(Kind::none)) return otherwise;
  if (!given->is(Kind::integer) && !given->is(Kind::boolean))
    call.fail(fmt::format("'{}' wants a whole number, found {}", call.name, type_name(*given)));
  return given->whole();
}

Value texts(Renderer& renderer, const std::vector<std::string_view>& parts,
            Kind kind = Kind::list) {
  std::vector<Value> items;
  for (const std::string_view part : parts) items.push_back(Value::of(part));
  renderer.work(items.size());
  return renderer.list_of(items, kind);
}

Value stripped(const Call& call, Side side) {
  const auto [chars] = call.bind({"chars"});
  call.renderer.work(call.self.size / 64);
  std::optional<std::string_view> set;
  if (chars != nullptr && !chars->is(Kind::none)) set = text(call, chars, "characters");
  return Value::of(strip(call.self.text(), side, set));
}
Value strip_both(const Call& call) {
  return stripped(call, Side::both);
}
Value strip_left(const Call& call) {
  return stripped(call, Side::left);
}
Value strip_right(const Call& call) {
  return stripped(call, Side::right);
}

Value split_at(const Call& call, bool from_right) {
  const auto [sep, most] = call.bind({"sep", "maxsplit"});
  std::optional<std::string_view> separator;
  if (sep != nullptr && !sep->is(Kind::none)) separator = text(call, sep, "separator");
  if (separator && separator->empty()) call.fail("'split' at an empty text");
  const int64_t limit = whole_or(call, most, -1);
  call.renderer.work(call.self.size / 16);
  return texts(call.renderer, from_right ? rsplit(call.self.text(), separator, limit)
                                         : split(call.self.text(), separator, limit));
}
Value split_left(const Call& call) {
  return split_at(call, false);
}
Value split_right(const Call& call) {
  return split_at(call, true);
}

Value lines(const Call& call) {
  const auto [keep] = call.bind({"keepends"});
  return texts(call.renderer, split_lines(call.self.text(), keep != nullptr && truth(*keep)));
}

/// startswith and endswith: of a text, or of one of a tuple.
template <class Fits>
Value has_affix(const Call& call, Fits fits) {
  const auto [affix] = call.bind({"affix"});
  if (affix != nullptr && affix->is(Kind::tuple)) {
    return Value::of(std::ranges::any_of(affix->list->all(), [&](const Value& one) {
      return fits(call.self.text(), text(call, &one, "beginnings or ends"));
    }));
  }
  return Value::of(fits(call.self.text(), text(call, affix, "beginning or end")));
}
Value starts_with(const Call& call) {
  return has_affix(call, [](std::string_view t, std::string_view a) { return t.starts_with(a); });
}
Value ends_with(const Call& call) {
  return has_affix(call, [](std::string_view t, std::string_view a) { return t.ends_with(a); });
}

Value replaced(const Call& call) {
  const auto [from, to, count] = call.bind({"old", "new", "count"});
  const std::string_view old = text(call, from, "old part"), by = text(call, to, "new part");
  const size_t times = call.self.size / std::max<size_t>(old.size(), 1) + 1;
  call.renderer.room_for(call.self.size + times * by.size());
  call.renderer.work(call.self.size / 16);
  return call.renderer.string(replace(call.self.text(), old, by, whole_or(call, count, -1)));
}

template <std::string (*kChange)(std::string_view)>
Value changed(const Call& call) {
  call.take_none();
  call.renderer.work(call.self.size / 16);
  return call.renderer.string(kChange(call.self.text()));
}

template <CharClass kClass>
Value has_class(const Call& call) {
  call.take_none();
  return Value::of(is_all(call.self.text(), kClass));
}

/// The place of a text in this one, in code points; -1: there is none.
int64_t place(const Call& call, bool from_right) {
  const auto [sub, start] = call.bind({"sub", "start"});
  const std::string_view part = text(call, sub, "part");
  int64_t begin = whole_or(call, start, 0);
  const int64_t size = call.renderer.length(call.self);
  if (begin < 0) begin = std::max<int64_t>(begin + size, 0);
  if (begin > size) return -1;
  const std::string_view whole = call.self.text();
  const size_t from = byte_of(whole, begin);
  size_t at = from_right ? whole.rfind(part) : whole.find(part, from);
  if (at == whole.npos || at < from) return -1;
  return length(whole.substr(0, at));
}
Value find(const Call& call) {
  return Value::of(place(call, false));
}
Value find_right(const Call& call) {
  return Value::of(place(call, true));
}
Value index(const Call& call) {
  const int64_t at = place(call, false);
  if (at < 0) call.fail("'index' of a text that is not there", "'find' is -1 then");
  return Value::of(at);
}

Value count(const Call& call) {
  const auto [sub] = call.bind({"sub"});
  const std::string_view part = text(call, sub, "part"), whole = call.self.text();
  if (part.empty()) return Value::of(call.renderer.length(call.self) + 1);
  call.renderer.work(whole.size() / 16);
  return Value::of(static_cast<int64_t>(split(whole, part, -1).size()) - 1);
}

Value join(const Call& call) {
  const auto [parts] = call.bind({"parts"});
  if (parts == nullptr) call.fail("'join' wants a list of texts");
  std::string out;
  bool begun = false;
  for (const Value& part : call.renderer.iterate(*parts)->all()) {
    if (begun) out += call.self.text();
    begun = true;
    out += text(call, &part, "parts");
    call.renderer.room_for(out.size());
  }
  return call.renderer.string(out);
}

Value without_prefix(const Call& call) {
  const auto [affix] = call.bind({"prefix"});
  const std::string_view part = text(call, affix, "prefix"), whole = call.self.text();
  return Value::of(whole.starts_with(part) ? whole.substr(part.size()) : whole);
}
Value without_suffix(const Call& call) {
  const auto [affix] = call.bind({"suffix"});
  const std::string_view part = text(call, affix, "suffix"), whole = call.self.text();
  return Value::of(whole.ends_with(part) ? whole.substr(0, whole.size() - part.size()) : whole);
}

Value parted(const Call& call, bool from_right) {
  const auto [sep] = call.bind({"sep"});
  const std::string_view between = text(call, sep, "separator"), whole = call.self.text();
  if (between.empty()) call.fail("'partition' at an empty text");
  const size_t at = from_right ? whole.rfind(between) : whole.find(between);
  if (at == whole.npos)
    return texts(call.renderer,
                 from_right ? std::vector<std::string_view>{"", "", whole}
                            : std::vector<std::string_view>{whole, "", ""},
                 Kind::tuple);
  return texts(
      call.renderer,
      {whole.substr(0, at), whole.substr(at, between.size()), whole.substr(at + between.size())},
      Kind::tuple);
}
Value part(const Call& call) {
  return parted(call, false);
}
Value part_right(const Call& call) {
  return parted(call, true);
}

/// '{} {0} {name}'.format(...), without conversions and forms.
Value format(const Call& call) {
  std::string out;
  const std::string_view form = call.self.text();
  size_t next = 0;
  for (size_t i = 0; i < form.size(); ++i) {
    const char c = form[i];
    const bool doubled = i + 1 < form.size() && form[i + 1] == c;
    if ((c == '{' || c == '}') && doubled) {
      out += c;
      ++i;
      continue;
    }
    if (c == '}') call.fail("'format': a '}' without its '{'");
    if (c != '{') {
      out += c;
      continue;
    }
    const size_t end = form.find('}', i);
    if (end == form.npos) call.fail("'format': a '{' that does not end");
    const std::string_view name = form.substr(i + 1, end - i - 1);
    i = end;
    const Value* value = nullptr;
    if (name.empty() && next < call.arguments.size()) value = &call.arguments[next++];
    if (name.size() == 1 && name[0] >= '0' && name[0] <= '9' &&
        static_cast<size_t>(name[0] - '0') < call.arguments.size())
      value = &call.arguments[static_cast<size_t>(name[0] - '0')];
    for (const NamedValue& argument : call.named)
      if (argument.name == name) value = &argument.value;
    if (value == nullptr)
      call.fail(
          fmt::format("'format': nothing for '{{{}}}'; {{}}, {{0}} and {{name}} are read", name));
    out += call.renderer.str(*value);
    call.renderer.room_for(out.size());
  }
  return call.renderer.string(out);
}

Value place_in_list(const Call& call) {
  const auto [item] = call.bind({"item"});
  if (item == nullptr) call.fail("'index' wants an item");
  const auto items = call.self.list->all();
  for (size_t i = 0; i < items.size(); ++i)
    if (call.renderer.equals(items[i], *item)) return Value::of(static_cast<int64_t>(i));
  call.fail("'index' of an item that is not in the list");
}

Value count_in_list(const Call& call) {
  const auto [item] = call.bind({"item"});
  if (item == nullptr) call.fail("'count' wants an item");
  return Value::of(static_cast<int64_t>(std::ranges::count_if(
      call.self.list->all(), [&](const Value& one) { return call.renderer.equals(one, *item); })));
}

Value get(const Call& call) {
  const auto [key, otherwise] = call.bind({"key", "default"});
  if (key == nullptr) call.fail("'get' wants a key");
  const Value* value =
      key->is_string() ? call.self.dict->find(key->text()) : call.self.dict->find(*key);
  if (value != nullptr) return *value;
  return otherwise != nullptr ? *otherwise : Value::none();
}

Value items(const Call& call) {
  call.take_none();
  std::vector<Value> out;
  for (const Entry& entry : call.self.dict->all())
    out.push_back(call.renderer.list_of(std::array{entry.key, entry.value}, Kind::tuple));
  call.renderer.work(out.size());
  return call.renderer.list_of(out);
}

template <Value Entry::*kPart>
Value parts_of(const Call& call) {
  call.take_none();
  std::vector<Value> out;
  for (const Entry& entry : call.self.dict->all()) out.push_back(entry.*kPart);
  call.renderer.work(out.size());
  return call.renderer.list_of(out);
}

Value cycle(const Call& call) {
  if (call.arguments.empty() || !call.named.empty()) call.fail("'cycle' wants values");
  return call.arguments[call.self.loop->index % call.arguments.size()];
}

constexpr Builtin kOfStrings[] = {
    {"strip", strip_both},
    {"lstrip", strip_left},
    {"rstrip", strip_right},
    {"split", split_left},
    {"rsplit", split_right},
    {"splitlines", lines},
    {"startswith", starts_with},
    {"endswith", ends_with},
    {"replace", replaced},
    {"lower", changed<lower>},
    {"upper", changed<upper>},
    {"capitalize", changed<capitalize>},
    {"title", changed<title_words>},
    {"find", find},
    {"rfind", find_right},
    {"index", index},
    {"count", count},
    {"join", join},
    {"removeprefix", without_prefix},
    {"removesuffix", without_suffix},
    {"partition", part},
    {"rpartition", part_right},
    {"format", format},
    {"isalpha", has_class<CharClass::alpha>},
    {"isdigit", has_class<CharClass::digit>},
    {"isalnum", has_class<CharClass::alnum>},
    {"isspace", has_class<CharClass::space>},
    {"islower", has_class<CharClass::lower>},
    {"isupper", has_class<CharClass::upper>},
};
constexpr Builtin kOfLists[] = {{"index", place_in_list}, {"count", count_in_list}};
constexpr Builtin kOfDicts[] = {{"get", get},
                                {"items", items},
                                {"keys", parts_of<&Entry::key>},
                                {"values", parts_of<&Entry::value>}};
constexpr Builtin kOfLoops[] = {{"cycle", cycle}};

constexpr std::string_view kOtherOfStrings[] = {
    "casefold",  "center",       "encode",    "expandtabs",  "format_map", "isascii",
    "isdecimal", "isidentifier", "isnumeric", "isprintable", "istitle",    "ljust",
    "maketrans", "rindex",       "rjust",     "swapcase",    "translate",  "zfill"};
constexpr std::string_view kOtherOfLists[] = {"append", "clear",  "copy",    "extend", "insert",
                                              "pop",    "remove", "reverse", "sort"};
constexpr std::string_view kOtherOfDicts[] = {"clear",   "copy",       "fromkeys", "pop",
                                              "popitem", "setdefault", "update"};

std::span<const Builtin> methods_of(Kind object) {
  switch (object) {
    case Kind::string:
      return kOfStrings;
    case Kind::list:
    case Kind::tuple:
      return kOfLists;
    case Kind::dict:
      return kOfDicts;
    case Kind::loop:
      return kOfLoops;
    default:
      return {};
  }
}

}  // namespace

const Builtin* find_method(Kind object, std::string_view name) {
  const auto methods = methods_of(object);
  const auto found = std::ranges::find(methods, name, &Builtin::name);
  return found == methods.end() ? nullptr : &*found;
}

bool is_other_method(Kind object, std::string_view name) {
  const auto has = [&](std::span<const std::string_view> names) {
    return std::ranges::find(names, name) != names.end();
  };
  switch (object) {
    case Kind::string:
      return has(kOtherOfStrings);
    case Kind::list:
      return has(kOtherOfLists);
    case Kind::dict:
      return has(kOtherOfDicts);
    default:
      return false;
  }
}

}  // namespace lmms::text::jinja
