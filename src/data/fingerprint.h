#pragma once
/// Whether data is what it was: fingerprints of the files of a data set.
#include <cstddef>
#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <span>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

namespace lmms::data {

class Dataset;

/// Text is hashed in pieces of this, which many threads can take.
inline constexpr size_t kHashPiece = size_t{32} << 20;
/// The hash of a text, from those of its pieces.
uint64_t hash_of_pieces(std::span<const uint64_t> pieces);
uint64_t text_hash(std::string_view text);

/// Of a columnar file: of all bytes up to 8 MiB. Of a larger one about 5 MiB are read: 64 blocks of
/// 64 KiB evenly spaced from its first byte to its last, and the last MiB, where the table of
/// contents stands (it has the sizes and places of all that is compressed). The size counts too.
uint64_t sampled_hash(std::string_view bytes);

struct FileFingerprint {
  std::string path;  ///< for messages; the same content under another name is the same
  int64_t bytes = 0;
  std::string hash;

  bool operator==(const FileFingerprint&) const = default;
};

struct SourceFingerprint {
  std::string path;  ///< as the config has it
  std::string data_folder;
  std::vector<FileFingerprint> files;

  bool operator==(const SourceFingerprint&) const = default;
};

/// One for each source of a data set; reads the files with a few threads of its own. Ends early,
/// with nothing, when it is told to stop.
std::vector<SourceFingerprint> fingerprints_of(const Dataset& dataset,
                                               const std::stop_token& stop = {});

/// "chats.jsonl: 1234 bytes, 1230 before" for each file whose content differs; nothing for one that
/// has only been moved, renamed or written again.
std::vector<std::string> changed_files(const std::vector<SourceFingerprint>& before,
                                       const std::vector<SourceFingerprint>& now);

nlohmann::json to_json(const std::vector<SourceFingerprint>& fingerprints);
/// Throws nlohmann::json::exception if it is not what to_json() made.
std::vector<SourceFingerprint> fingerprints_from(const nlohmann::json& json);

}  // namespace lmms::data
