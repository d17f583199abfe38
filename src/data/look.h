#pragma once
/// What data files turn out to be when one looks inside: their format and layout, the media that
/// they name, and what lies beside them. For `lmms init`.
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/error.h"
#include "data/config.h"
#include "data/source.h"

namespace lmms::data {

/// The format of a file by its first bytes, whatever its name. Faults: no such file, an empty one,
/// a compressed or unknown one.
Result<Format> format_by_contents(const std::string& file);

/// What a path names.
struct FoundData {
  std::vector<SourceConfig> training;  ///< with their data_type
  /// The evaluation split that lies among or beside them, by its name (eval.jsonl, chats_val.jsonl,
  /// validation-*.parquet, test/): with its data_type.
  std::optional<SourceConfig> evaluation;
  /// Files of a folder that are neither, each group with the reason: "a.csv (csv beside jsonl)".
  std::vector<std::string> not_used;
  /// Evaluation splits that are there and that no one path names, with the fix; else empty.
  std::string without_evaluation;
};

/// Looks at a file, a glob or a folder, also one as the hub lays data sets out. Faults: nothing
/// there, or nothing that can be read.
Result<FoundData> find_data(const std::string& path);
/// The same of several, all of which are trained; but files that are evaluation splits by their
/// name, beside others that are not, are for evaluation.
Result<FoundData> find_data(std::span<const std::string> paths);

/// What the rows of a source are.
struct RowsLook {
  RecordForm form = RecordForm::chats;  ///< media_chats: images or videos were seen
  std::string_view layout;              ///< "OpenAI messages", "Alpaca instructions", ...
  int64_t rows = 0;                     ///< looked at, from the front
  int64_t broken = 0;                   ///< of them
  Fault first_broken;
  std::vector<std::string> relative_media;  ///< paths of images and videos, as the rows write them
};

/// Reads the first rows as training does. Faults: no row that can be trained; says which keys are
/// there and which are wanted.
Result<RowsLook> look_at_rows(const SourceConfig& source);

/// The folder that relative paths of media are joined to: empty where they lie as they are written,
/// else one near the data. Faults: none of the folders holds them.
Result<std::string> find_media_folder(const std::string& data,
                                      std::span<const std::string> relative_media);

}  // namespace lmms::data
