#include "core/config/node.h"

#include <charconv>
#include <cmath>

#include "core/format.h"

namespace lmms::config {
namespace {

bool one_of(std::string_view text, std::initializer_list<std::string_view> words) {
  for (std::string_view word : words) {
    if (text == word) return true;
  }
  return false;
}

/// The text without underscores between digits, which YAML 1.1 allows.
std::string without_underscores(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    const bool inside = i > 0 && i + 1 < text.size();
    if (text[i] == '_' && inside) continue;
    out += text[i];
  }
  return out;
}

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

/// [+-] digits with at most one point and at most one exponent, at least one digit before the
/// exponent.
bool looks_decimal(std::string_view text) {
  size_t i = !text.empty() && (text[0] == '+' || text[0] == '-') ? 1 : 0;
  size_t digits = 0;
  for (; i < text.size() && is_digit(text[i]); ++i) ++digits;
  if (i < text.size() && text[i] == '.') {
    for (++i; i < text.size() && is_digit(text[i]); ++i) ++digits;
  }
  if (digits == 0) return false;
  if (i < text.size() && (text[i] == 'e' || text[i] == 'E')) {
    ++i;
    if (i < text.size() && (text[i] == '+' || text[i] == '-')) ++i;
    size_t exponent = 0;
    for (; i < text.size() && is_digit(text[i]); ++i) ++exponent;
    if (exponent == 0) return false;
  }
  return i == text.size();
}

/// "010": octal for PyYAML, decimal for most people; neither is guessed.
bool has_leading_zero(std::string_view text) {
  if (!text.empty() && (text[0] == '+' || text[0] == '-')) text.remove_prefix(1);
  return text.size() > 1 && text[0] == '0' && is_digit(text[1]) &&
         text.find_first_of(".eE") == std::string_view::npos;
}

bool read_whole(std::string_view text, int64_t& value) {
  int base = 10;
  bool negative = false;
  if (!text.empty() && (text[0] == '+' || text[0] == '-')) {
    negative = text[0] == '-';
    text.remove_prefix(1);
  }
  if (text.starts_with("0x") || text.starts_with("0X")) base = 16;
  if (text.starts_with("0o")) base = 8;
  if (text.starts_with("0b")) base = 2;
  if (base != 10) text.remove_prefix(2);
  if (text.empty() || text[0] == '-' || text[0] == '+') return false;
  const std::string signed_text = (negative ? "-" : "") + std::string(text);
  const char* end = signed_text.data() + signed_text.size();
  int64_t whole = 0;
  const auto [stop, failure] = std::from_chars(signed_text.data(), end, whole, base);
  if (failure != std::errc() || stop != end) return false;
  value = whole;
  return true;
}

}  // namespace

const Value* Value::find(std::string_view key) const {
  if (const Map* entries = map()) {
    for (const auto& [name, value] : *entries) {
      if (name == key) return &value;
    }
  }
  return nullptr;
}

bool operator==(const Value& a, const Value& b) {
  return a.data == b.data;
}

Node Node::scalar(std::string text, bool quoted) {
  Node node;
  node.kind = Kind::scalar;
  node.text = std::move(text);
  node.quoted = quoted;
  return node;
}

Entry* Node::find(std::string_view key) {
  for (Entry& entry : entries) {
    if (entry.key == key) return &entry;
  }
  return nullptr;
}

const Entry* Node::find(std::string_view key) const {
  return const_cast<Node*>(this)->find(key);
}

size_t Node::count() const {
  size_t nodes = 1;
  for (const Node& item : items) nodes += item.count();
  for (const Entry& entry : entries) nodes += entry.value.count();
  return nodes;
}

std::string describe(const Node& node) {
  constexpr size_t kMostShown = 60;
  switch (node.kind) {
    case Node::Kind::null:
      return "nothing (null)";
    case Node::Kind::list:
      return "a list";
    case Node::Kind::map:
      return "a map";
    case Node::Kind::scalar:
      break;
  }
  if (is_null(node)) return "nothing (null)";
  if (node.text.size() <= kMostShown) return "'" + node.text + "'";
  size_t cut = kMostShown;
  while (cut > 0 && (static_cast<unsigned char>(node.text[cut]) & 0xC0) == 0x80)
    --cut;  // whole UTF-8 characters
  return "'" + node.text.substr(0, cut) + "...'";
}

bool is_null(const Node& node) {
  if (node.kind == Node::Kind::null) return true;
  return node.kind == Node::Kind::scalar && !node.quoted &&
         one_of(node.text, {"", "~", "null", "Null", "NULL"});
}

bool read_boolean(const Node& node, bool& value) {
  if (node.kind != Node::Kind::scalar) return false;
  const std::string& text = node.text;
  if (one_of(text, {"true", "True", "TRUE", "yes", "Yes", "YES", "on", "On", "ON"}))
    return value = true, true;
  if (one_of(text, {"false", "False", "FALSE", "no", "No", "NO", "off", "Off", "OFF"}))
    return value = false, true;
  return false;
}

bool read_integer(const Node& node, int64_t& value) {
  if (node.kind != Node::Kind::scalar) return false;
  const std::string text = without_underscores(node.text);
  if (has_leading_zero(text)) return false;
  if (read_whole(text, value)) return true;
  double number = 0;
  constexpr double kExact = 9007199254740992.0;  // 2^53: every whole number up to here is a double
  if (!read_number(node, number) || number != std::floor(number) || std::abs(number) > kExact)
    return false;
  value = static_cast<int64_t>(number);
  return true;
}

bool read_number(const Node& node, double& value) {
  if (node.kind != Node::Kind::scalar) return false;
  const std::string text = without_underscores(node.text);
  if (has_leading_zero(text)) return false;
  const double infinity = std::numeric_limits<double>::infinity();
  if (one_of(text, {".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF"}))
    return value = infinity, true;
  if (one_of(text, {"-.inf", "-.Inf", "-.INF"})) return value = -infinity, true;
  if (one_of(text, {".nan", ".NaN", ".NAN"})) return value = std::nan(""), true;
  if (int64_t whole = 0; read_whole(text, whole)) return value = static_cast<double>(whole), true;
  if (!looks_decimal(text)) return false;
  const char* begin = text.data() + (text[0] == '+' ? 1 : 0);
  const char* end = text.data() + text.size();
  double number = 0;
  const auto [stop, failure] = std::from_chars(begin, end, number);
  if (stop != end) return false;
  // Beyond the range of a double: infinity, as everywhere else; nobody accepts it silently. Below:
  // zero.
  if (failure == std::errc::result_out_of_range) number = std::strtod(begin, nullptr);
  value = number;
  return true;
}

Value to_value(const Node& node) {
  if (is_null(node)) return {};
  if (node.kind == Node::Kind::list) {
    Value::List list;
    for (const Node& item : node.items) list.push_back(to_value(item));
    return {std::move(list)};
  }
  if (node.kind == Node::Kind::map) {
    Value::Map map;
    for (const Entry& entry : node.entries) map.emplace_back(entry.key, to_value(entry.value));
    return {std::move(map)};
  }
  if (node.quoted) return {node.text};
  bool boolean = false;
  int64_t whole = 0;
  double number = 0;
  const std::string text = without_underscores(node.text);
  if (read_boolean(node, boolean)) return {boolean};
  if (!has_leading_zero(text) && read_whole(text, whole)) return {whole};
  if (read_number(node, number)) return {number};
  return {node.text};
}

Node to_node(const Value& value) {
  struct Visitor {
    Node operator()(std::monostate) const { return Node::scalar("null"); }
    Node operator()(bool b) const { return to_node(b); }
    Node operator()(int64_t i) const { return to_node(i); }
    Node operator()(double d) const { return to_node(d); }
    Node operator()(const std::string& s) const { return to_node(s); }
    Node operator()(const Value::List& list) const {
      Node node;
      node.kind = Node::Kind::list;
      for (const Value& item : list) node.items.push_back(to_node(item));
      return node;
    }
    Node operator()(const Value::Map& map) const {
      Node node;
      node.kind = Node::Kind::map;
      for (const auto& [key, item] : map) node.entries.push_back({key, {}, to_node(item)});
      return node;
    }
  };
  return std::visit(Visitor{}, value.data);
}

Node to_node(bool value) {
  return Node::scalar(value ? "true" : "false");
}
Node to_node(int64_t value) {
  return Node::scalar(std::to_string(value));
}

Node to_node(double value) {
  if (std::isnan(value)) return Node::scalar(".nan");
  if (std::isinf(value)) return Node::scalar(value > 0 ? ".inf" : "-.inf");
  std::string text = fmt::format("{}", value);
  // PyYAML takes 1e-05 for text and 3 for a whole number.
  const size_t exponent = text.find('e');
  if (text.find('.') == std::string::npos)
    text.insert(exponent == std::string::npos ? text.size() : exponent, ".0");
  return Node::scalar(std::move(text));
}

Node to_node(const std::string& value) {
  Node node = Node::scalar(value);
  const Value seen = to_value(node);
  const bool mistakable = seen.string() == nullptr;
  node.quoted = mistakable;
  return node;
}

}  // namespace lmms::config
