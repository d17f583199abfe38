#include "data/json_value.h"

#include <array>
#include <charconv>
#include <cmath>

#include "core/format.h"

namespace lmms::data {
namespace {

/// repr() of a float: digits alone between 1e-4 and 1e16, with an exponent beyond.
std::string float_text(double value) {
  if (std::isnan(value)) return "NaN";
  if (std::isinf(value)) return value > 0 ? "Infinity" : "-Infinity";
  std::array<char, 512> buffer;
  const double size = std::fabs(value);
  const bool plain = size == 0 || (size >= 1e-4 && size < 1e16);
  const auto end = std::to_chars(buffer.data(), buffer.data() + buffer.size(), value,
                                 plain ? std::chars_format::fixed : std::chars_format::scientific)
                       .ptr;
  std::string text(buffer.data(), end);
  if (plain && text.find('.') == std::string::npos) text += ".0";
  return text;
}

void add_string(const std::string& text, std::string& out) {
  out += '"';
  for (const char c : text) {
    switch (c) {
      case '"':
        out += "\\\"";
        break;
      case '\\':
        out += "\\\\";
        break;
      case '\n':
        out += "\\n";
        break;
      case '\r':
        out += "\\r";
        break;
      case '\t':
        out += "\\t";
        break;
      case '\b':
        out += "\\b";
        break;
      case '\f':
        out += "\\f";
        break;
      default:
        if (static_cast<unsigned char>(c) < 0x20) {
          out += fmt::format("\\u{:04x}", static_cast<int>(c));
        } else {
          out += c;
        }
    }
  }
  out += '"';
}

/// False if there are bytes in it.
bool add(const Json& value, std::string& out) {
  switch (value.type()) {
    case Json::value_t::object: {
      out += '{';
      bool first = true;
      for (const auto& [key, member] : value.items()) {
        if (!first) out += ", ";
        first = false;
        add_string(key, out);
        out += ": ";
        if (!add(member, out)) return false;
      }
      out += '}';
      return true;
    }
    case Json::value_t::array: {
      out += '[';
      for (size_t i = 0; i < value.size(); ++i) {
        if (i > 0) out += ", ";
        if (!add(value[i], out)) return false;
      }
      out += ']';
      return true;
    }
    case Json::value_t::string:
      add_string(value.get_ref<const std::string&>(), out);
      return true;
    case Json::value_t::boolean:
      out += value.get<bool>() ? "true" : "false";
      return true;
    case Json::value_t::number_integer:
      out += std::to_string(value.get<int64_t>());
      return true;
    case Json::value_t::number_unsigned:
      out += std::to_string(value.get<uint64_t>());
      return true;
    case Json::value_t::number_float:
      out += float_text(value.get<double>());
      return true;
    case Json::value_t::null:
      out += "null";
      return true;
    case Json::value_t::binary:
    case Json::value_t::discarded:
      break;
  }
  return false;
}

}  // namespace

void ObjectBuilder::put(std::string key, Json value) {
  constexpr size_t kMany = 64;  // fewer are looked through
  auto& members = object_.get_ref<Json::object_t&>();
  if (members.size() < kMany) {
    object_[key] = std::move(value);
    return;
  }
  if (places_.empty()) {
    for (const auto& [known, of] : members) places_.emplace(known, places_.size());
  }
  const auto [place, is_new] = places_.try_emplace(key, members.size());
  if (is_new) {
    members.emplace_back(std::move(key), std::move(value));
  } else {
    (members.begin() + static_cast<std::ptrdiff_t>(place->second))->second = std::move(value);
  }
}

const Json* find_member(const Json& object, const char* key) {
  if (!object.is_object()) return nullptr;
  const auto at = object.find(key);
  return at == object.end() || at->is_null() ? nullptr : &*at;
}

Result<std::string> dump_as_python(const Json& value) {
  std::string out;
  if (!add(value, out)) return Fault{"", "holds bytes, which have no text", ""};
  return out;
}

}  // namespace lmms::data
