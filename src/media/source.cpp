#include "media/source.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "core/files.h"
#include "core/format.h"
#include "media/container.h"
#include "media/image.h"

namespace lmms::media {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kForms =
    "write a path, file://, data: with base64, or bytes in an Arrow or Parquet column";

/// Enough of a text to find it again; a base64 text may have megabytes.
std::string front(std::string_view text) {
  constexpr size_t shown = 60;
  if (text.size() <= shown) return std::string(text);
  size_t cut = shown;
  while (cut && (text[cut] & 0xc0) == 0x80) --cut;  // never within a character
  return fmt::format("{}... ({} bytes)", text.substr(0, cut), text.size());
}

int hex(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  c = char(c | 32);
  return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

std::string percent_decoded(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    const bool escape =
        text[i] == '%' && i + 2 < text.size() && hex(text[i + 1]) >= 0 && hex(text[i + 2]) >= 0;
    out.push_back(escape ? char(hex(text[i + 1]) << 4 | hex(text[i + 2])) : text[i]);
    if (escape) i += 2;
  }
  return out;
}

bool starts_without_case(std::string_view text, std::string_view start) {
  return text.size() >= start.size() &&
         std::equal(start.begin(), start.end(), text.begin(),
                    [](char a, char b) { return a == (b | 32) || a == b; });
}

/// The place of a regular file that a record names.
Result<fs::path> locate(const fs::path& path, const fs::path& data_folder) {
  const fs::path whole = path.is_absolute() ? path : data_folder / path;
  std::error_code error;
  const fs::file_status status = fs::status(whole, error);
  if (!fs::exists(status))
    return Fault{front(path.string()),
                 path.is_absolute() || data_folder.empty()
                     ? "no such file"
                     : fmt::format("not found under data_folder={}", front(data_folder.string())),
                 "correct data_folder or the path; or set dataset_config.on_bad_sample: skip"};
  if (!fs::is_regular_file(status))  // a pipe would be waited for
    return Fault{front(whole.string()),
                 fs::is_directory(status) ? "is a folder, not a file" : "is no regular file", ""};
  return whole;
}

/// The path in a file:// URL.
std::optional<fs::path> path_of_url(std::string_view source) {
  if (!starts_without_case(source, "file://")) return std::nullopt;
  std::string path = percent_decoded(source.substr(7));
  if (path.starts_with("localhost/")) path.erase(0, 9);
  return fs::path(path);
}

Result<std::string> read_path(const fs::path& path, const fs::path& data_folder) {
  const auto whole = locate(path, data_folder);
  if (!whole) return whole.fault();
  return read_file(*whole);
}

Result<std::string> read_data_url(std::string_view url) {
  const size_t comma = url.find(',');
  if (comma == url.npos)
    return Fault{front(url), "a data: URL without a comma", "data:image/png;base64,iVBOR..."};
  const std::string_view head = url.substr(0, comma), body = url.substr(comma + 1);
  if (!head.ends_with(";base64")) return percent_decoded(body);
  Result<std::string> bytes = decode_base64(body);
  if (!bytes) return Fault{front(url), bytes.fault().what, bytes.fault().fix};
  return bytes;
}

bool is_media(const std::string& text) {
  const Bytes bytes = std::as_bytes(std::span(text.data(), text.size()));
  return probe(bytes).ok() || is_container(bytes);
}

}  // namespace

std::string encode_base64(std::string_view bytes) {
  constexpr std::string_view kDigits =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  for (size_t i = 0; i < bytes.size(); i += 3) {
    uint32_t bits = 0;
    const size_t n = std::min<size_t>(3, bytes.size() - i);
    for (size_t k = 0; k < 3; ++k) bits = bits << 8 | (k < n ? uint8_t(bytes[i + k]) : 0);
    for (size_t k = 0; k < 4; ++k) out += k <= n ? kDigits[bits >> (18 - 6 * k) & 63] : '=';
  }
  return out;
}

Result<std::string> decode_base64(std::string_view text) {
  std::string bytes;
  bytes.reserve(text.size() / 4 * 3 + 3);
  uint32_t held = 0;
  int bits = 0;
  bool padded = false;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (c == ' ' || c == '\n' || c == '\r' || c == '\t') continue;
    if (c == '=') {
      padded = true;
      continue;
    }
    const int value = c >= 'A' && c <= 'Z'   ? c - 'A'
                      : c >= 'a' && c <= 'z' ? c - 'a' + 26
                      : c >= '0' && c <= '9' ? c - '0' + 52
                      : c == '+' || c == '-' ? 62
                      : c == '/' || c == '_' ? 63
                                             : -1;
    if (value < 0 || padded)
      return Fault{"", fmt::format("no base64: byte {} at position {}", unsigned(uint8_t(c)), i),
                   ""};
    held = (held << 6 | uint32_t(value)) & 0xffffff;
    bits += 6;
    if (bits >= 8) {
      bits -= 8;
      bytes.push_back(char(held >> bits));
    }
  }
  if (bits == 6) return Fault{"", "base64 that ends within a byte", ""};
  return bytes;
}

Result<std::string> read_source(std::string_view source, const fs::path& data_folder) {
  if (source.empty())
    return Fault{"", "an empty text where a file should be named", std::string(kForms)};
  if (source.find('\0') != source.npos)
    return Fault{"", "a path that contains a zero byte", std::string(kForms)};
  if (starts_without_case(source, "http://") || starts_without_case(source, "https://"))
    return Fault{front(source), "is on the network, which training does not use",
                 "download it first and write its path"};
  if (starts_without_case(source, "data:")) return read_data_url(source);
  if (const auto path = path_of_url(source)) return read_path(*path, data_folder);
  Result<std::string> file = read_path(fs::path(source), data_folder);
  if (file) return file;
  // Shorter than the base64 of any file is a path that was mistyped.
  if (source.size() >= 32) {
    Result<std::string> bytes = decode_base64(source);
    if (bytes && is_media(*bytes)) return bytes;
  }
  return file;
}

Result<std::string> read_source(const nlohmann::json& value, const fs::path& data_folder) {
  const auto bytes_of = [](const nlohmann::json& binary) {
    const auto& bytes = binary.get_binary();
    return std::string(bytes.begin(), bytes.end());
  };
  if (value.is_string())
    return read_source(std::string_view(value.get_ref<const std::string&>()), data_folder);
  if (value.is_binary()) return bytes_of(value);
  if (value.is_object()) {
    const auto bytes = value.find("bytes"), path = value.find("path");
    if (bytes != value.end() && bytes->is_binary() && !bytes->get_binary().empty())
      return bytes_of(*bytes);
    if (bytes != value.end() && bytes->is_string())
      return decode_base64(bytes->get_ref<const std::string&>());
    if (path != value.end() && path->is_string()) return read_source(*path, data_folder);
    return Fault{"", "an object without bytes and without path where an image or a video should be",
                 std::string(kForms)};
  }
  return Fault{"", fmt::format("expected an image or a video, found {}", value.type_name()),
               std::string(kForms)};
}

Result<SourceBytes> map_source(const nlohmann::json& value, const fs::path& data_folder) {
  const nlohmann::json* named = &value;
  if (value.is_object() && value.contains("path") &&
      (!value.contains("bytes") || value["bytes"].is_null()))
    named = &value["path"];
  if (named->is_string()) {
    const std::string_view source = named->get_ref<const std::string&>();
    const fs::path path = path_of_url(source).value_or(source);
    const auto whole = source.find('\0') == source.npos ? locate(path, data_folder)
                                                        : Result<fs::path>(Fault{"", "", ""});
    if (whole && !source.empty()) {
      auto file = MappedFile::open(*whole);
      if (!file) return file.fault();
      return SourceBytes(*std::move(file));
    }
  }
  auto bytes = read_source(value, data_folder);
  if (!bytes) return bytes.fault();
  return SourceBytes(*std::move(bytes));
}

}  // namespace lmms::media
