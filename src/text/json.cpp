#include "text/json.h"

#include "core/files.h"
#include "core/format.h"
#include "core/plain_json.h"

namespace lmms::text {
namespace {

std::string_view name_of(simdjson::dom::element value) {
  switch (value.type()) {
    case simdjson::dom::element_type::ARRAY:
      return "a list";
    case simdjson::dom::element_type::OBJECT:
      return "an object";
    case simdjson::dom::element_type::STRING:
      return "a string";
    case simdjson::dom::element_type::BOOL:
      return "a boolean";
    case simdjson::dom::element_type::NULL_VALUE:
      return "null";
    default:
      return "a number";
  }
}

}  // namespace

void Json::fail(const std::string& what, const std::string& fix) const {
  throw Error(where_, key_.empty() ? what : key_ + ": " + what, fix);
}

void Json::expected(std::string_view type) const {
  fail(fmt::format("expected {}, got {}", type, name_of(value_)));
}

std::optional<Json> Json::find(std::string_view key) const {
  simdjson::dom::element found;
  if (object().at_key(key).get(found) != simdjson::SUCCESS || found.is_null()) return std::nullopt;
  return member(key, found);
}

Json Json::at(std::string_view key) const {
  simdjson::dom::element found;
  if (object().at_key(key).get(found) != simdjson::SUCCESS)
    fail(fmt::format("'{}' is missing", key));
  return member(key, found);
}

simdjson::dom::object Json::object() const {
  simdjson::dom::object object;
  if (value_.get(object) != simdjson::SUCCESS) expected("an object");
  return object;
}

simdjson::dom::array Json::array() const {
  simdjson::dom::array array;
  if (value_.get(array) != simdjson::SUCCESS) expected("a list");
  return array;
}

std::string_view Json::string() const {
  std::string_view text;
  if (value_.get(text) != simdjson::SUCCESS) expected("a string");
  return text;
}

bool Json::boolean() const {
  bool flag = false;
  if (value_.get(flag) != simdjson::SUCCESS) expected("true or false");
  return flag;
}

int64_t Json::integer() const {
  int64_t number = 0;
  if (value_.get(number) != simdjson::SUCCESS) expected("a whole number");
  return number;
}

bool Json::boolean_or(std::string_view key, bool otherwise) const {
  const auto found = find(key);
  return found ? found->boolean() : otherwise;
}

Json Json::member(std::string_view key, simdjson::dom::element value) const {
  return Json(value, where_, key_.empty() ? std::string(key) : fmt::format("{}.{}", key_, key));
}

Json Json::element(size_t index, simdjson::dom::element value) const {
  return Json(value, where_, fmt::format("{}[{}]", key_, index));
}

Result<JsonFile> JsonFile::parse(std::string text, const std::string& where) {
  JsonFile file;
  file.where_ = where;
  auto error = file.parser_->parse(text).get(file.root_);
  if (error != simdjson::SUCCESS) error = file.parser_->parse(plain_json(text)).get(file.root_);
  if (error != simdjson::SUCCESS) {
    return Fault{where, fmt::format("is not valid JSON: {}", simdjson::error_message(error)),
                 "the file may be cut off; fetch it again"};
  }
  return file;
}

Result<JsonFile> JsonFile::read(const std::filesystem::path& path) {
  auto text = read_file(path);
  if (!text) return text.fault();
  return parse(std::move(*text), path.string());
}

}  // namespace lmms::text
