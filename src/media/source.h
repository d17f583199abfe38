#pragma once
/// The bytes behind what a record writes for an image or a video.
#include <cstddef>
#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "core/error.h"
#include "core/files.h"

namespace lmms::media {

/// What `source` names, one of
///   a path                  relative ones are joined to `data_folder`
///   file://PATH             %XX is read as a URL reads it
///   data:image/png;base64,  or with %XX text instead of base64
///   base64                  bare, where no file of that name exists and the bytes are an image or
///   a
///                           video's container
/// http and https are refused: training does not use the network. Faults carry the path, or the
/// front of the text, in `where`.
Result<std::string> read_source(std::string_view source, const std::filesystem::path& data_folder);

/// The same for a value of a row: a text as above, binary bytes (an Arrow or Parquet column), or
/// Hugging Face's Image feature {"bytes": ..., "path": ...}, where bytes go before the path.
Result<std::string> read_source(const nlohmann::json& value,
                                const std::filesystem::path& data_folder);

/// Bytes in memory, or of a mapped file.
class SourceBytes {
 public:
  SourceBytes() = default;
  explicit SourceBytes(std::string bytes) : held_(std::move(bytes)) {}
  explicit SourceBytes(MappedFile file) : file_(std::move(file)) {}
  std::span<const std::byte> bytes() const {
    return file_ ? file_->bytes() : std::as_bytes(std::span(held_.data(), held_.size()));
  }

 private:
  std::string held_;
  std::optional<MappedFile> file_;
};

/// read_source() of a value, with a file mapped instead of read: for videos, of which little more
/// than the chosen frames is looked at. The file must not become shorter meanwhile.
Result<SourceBytes> map_source(const nlohmann::json& value,
                               const std::filesystem::path& data_folder);

/// Base64, standard or URL-safe, with or without padding; white space is passed over.
Result<std::string> decode_base64(std::string_view text);
/// Standard base64 with padding.
std::string encode_base64(std::string_view bytes);

}  // namespace lmms::media
