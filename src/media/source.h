#pragma once
/// The bytes behind what a record writes for an image or a video.
#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

#include "core/error.h"

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

/// Base64, standard or URL-safe, with or without padding; white space is passed over.
Result<std::string> decode_base64(std::string_view text);
/// Standard base64 with padding.
std::string encode_base64(std::string_view bytes);

}  // namespace lmms::media
