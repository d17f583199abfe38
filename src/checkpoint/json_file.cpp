#include "checkpoint/json_file.h"

#include <algorithm>

#include "core/files.h"
#include "core/format.h"
#include "core/plain_json.h"

namespace lmms::checkpoint {

namespace {

// "config.json:3:14", of a byte counted from 1.
std::string place_of(const std::string& where, std::string_view text, size_t byte) {
  const std::string_view before = text.substr(0, std::min(byte, text.size() + 1) - 1);
  const size_t begin = before.rfind('\n');
  return fmt::format("{}:{}:{}", where, 1 + std::count(before.begin(), before.end(), '\n'),
                     before.size() - (begin == std::string_view::npos ? 0 : begin + 1) + 1);
}

}  // namespace

Result<nlohmann::json> parse_json_object(std::string_view text, const std::string& where) {
  constexpr int kDeepest = 64;
  bool too_deep = false;
  const auto shallow = [&](int depth, nlohmann::json::parse_event_t, nlohmann::json&) {
    too_deep = too_deep || depth > kDeepest;
    return !too_deep;
  };
  const std::string plain = plain_json(text);
  try {
    auto value = nlohmann::json::parse(plain, shallow);
    if (too_deep) return Fault{where, fmt::format("nests deeper than {} levels", kDeepest), ""};
    if (!value.is_object())
      return Fault{where, fmt::format("should hold a JSON object, holds {}", value.type_name()),
                   ""};
    return value;
  } catch (const nlohmann::json::parse_error& error) {
    const bool cut = error.byte > plain.size();
    return Fault{place_of(where, plain, std::max<size_t>(error.byte, 1)),
                 cut ? "is no valid JSON: it ends too soon" : "is no valid JSON from here on",
                 "correct the file, or copy it again"};
  } catch (const nlohmann::json::out_of_range& error) {
    return Fault{where, std::string("holds a number that does not fit: ") + error.what(), ""};
  }
}

Result<nlohmann::json> read_json_object(const std::filesystem::path& path) {
  auto text = read_file(path);
  if (!text) return text.fault();
  return parse_json_object(*text, path.string());
}

FileSum write_json(const std::filesystem::path& path, const nlohmann::json& value) {
  SummedFile file(path);
  file.write(python_json(value.dump(2, ' ', /*ensure_ascii=*/true,
                                    nlohmann::json::error_handler_t::replace)) +
             "\n");
  return file.finish();
}

}  // namespace lmms::checkpoint
