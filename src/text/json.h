#pragma once
/// JSON files of outside origin: each value knows where it stands, so that a wrong one is named.
#include <simdjson.h>

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "core/error.h"

namespace lmms::text {

/// A value in a parsed document. Wrong types throw Error with "file: key: expected .., got ..".
class Json {
 public:
  Json(simdjson::dom::element value, std::string where, std::string key)
      : value_(value), where_(std::move(where)), key_(std::move(key)) {}

  simdjson::dom::element value() const { return value_; }
  bool is_null() const { return value_.is_null(); }
  bool is_object() const { return value_.is_object(); }
  bool is_array() const { return value_.is_array(); }
  bool is_string() const { return value_.is_string(); }

  /// A member that is there and not null.
  std::optional<Json> find(std::string_view key) const;
  Json at(std::string_view key) const;
  simdjson::dom::object object() const;
  simdjson::dom::array array() const;
  std::string_view string() const;
  bool boolean() const;
  int64_t integer() const;
  bool boolean_or(std::string_view key, bool otherwise) const;

  /// A member of an object or an element of an array, for iterating.
  Json member(std::string_view key, simdjson::dom::element value) const;
  Json element(size_t index, simdjson::dom::element value) const;

  /// Ends reading: `what` is wrong with this value.
  [[noreturn]] void fail(const std::string& what, const std::string& fix = "") const;

 private:
  [[noreturn]] void expected(std::string_view type) const;
  simdjson::dom::element value_;
  std::string where_, key_;
};

/// A file and the document that points into it. What Python's json module writes beyond plain JSON
/// is read too (core/plain_json.h): a number that is not finite is a string.
class JsonFile {
 public:
  static Result<JsonFile> parse(std::string text, const std::string& where);
  static Result<JsonFile> read(const std::filesystem::path& path);
  Json root() const { return Json(root_, where_, ""); }

 private:
  JsonFile() = default;
  std::unique_ptr<simdjson::dom::parser> parser_ =
      std::make_unique<simdjson::dom::parser>();  // values point into it
  simdjson::dom::element root_;
  std::string where_;
};

}  // namespace lmms::text
