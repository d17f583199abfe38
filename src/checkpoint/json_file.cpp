#include "checkpoint/json_file.h"

#include "core/files.h"
#include "core/format.h"
#include "core/plain_json.h"

namespace lmms::checkpoint {

Result<nlohmann::json> parse_json_object(std::string_view text, const std::string& where) {
  constexpr int kDeepest = 64;
  bool too_deep = false;
  const auto shallow = [&](int depth, nlohmann::json::parse_event_t, nlohmann::json&) {
    too_deep = too_deep || depth > kDeepest;
    return !too_deep;
  };
  try {
    auto value = nlohmann::json::parse(plain_json(text), shallow);
    if (too_deep) return Fault{where, fmt::format("nests deeper than {} levels", kDeepest), ""};
    if (!value.is_object())
      return Fault{where, fmt::format("should hold a JSON object, holds {}", value.type_name()),
                   ""};
    return value;
  } catch (const nlohmann::json::parse_error& error) {
    return Fault{where, fmt::format("is no valid JSON at byte {}", error.byte),
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
