#pragma once
/// Files as random-access rows: json, jsonl, csv, arrow, parquet, folders of images, latents.
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/error.h"
#include "data/record.h"

namespace lmms::data {

/// A file that a source reads; its fingerprint (data/fingerprint.h) tells whether it is the same
/// one again.
struct SourceFile {
  enum class Kind {
    text,    ///< was read from front to back when it was opened
    columns  ///< Arrow, Parquet: read where rows are wanted
  };
  std::string path;
  Kind kind = Kind::text;
  std::string_view bytes;        ///< mapped: valid as long as the source lives
  std::optional<uint64_t> hash;  ///< text_hash(bytes), where opening has made it
};

/// Rows that can be read in any order, by many threads at once.
class RecordSource {
 public:
  virtual ~RecordSource() = default;
  /// Rows; known once the source is open.
  virtual int64_t size() const = 0;
  /// The row, counted from 0. A broken row is a Fault that names file and row, and says nothing
  /// about the rows beside it.
  virtual Result<Record> read(int64_t row) const = 0;
  /// All that rows are read from, in the order of the rows.
  virtual std::vector<SourceFile> files() const = 0;
};

enum class Format { json, jsonl, csv, arrow, parquet, image_folder, latents };

/// "json" ...; nullopt for a name that is none of ours.
std::optional<Format> parse_format(std::string_view name);
std::string_view format_name(Format format);
/// From the suffix of a path or glob (".jsonl", ".ndjson", ".json", ".csv", ".arrow", ".parquet",
/// ".pq"), or from the contents of a folder; nullopt if neither tells.
std::optional<Format> infer_format(const std::string& path);

/// How a source may use the machine.
struct SourceLimits {
  /// Decoded Parquet row groups and compressed Arrow batches kept in memory, for each source.
  int64_t memory_bytes = int64_t{512} << 20;
  /// Where decoded Parquet row groups beyond that are put, in files that vanish with the process;
  /// empty: the system's temporary folder.
  std::string spill_folder;
};

/// Opens a file, a glob ("part-*.parquet"; files in the order of their names) or a folder that
/// `datasets.save_to_disk` wrote. Faults: no such file, nothing matches, a file that is not of this
/// format.
Result<std::unique_ptr<RecordSource>> open_source(const std::string& path, Format format,
                                                  const SourceLimits& limits = {});

/// Several sources of one kind, one after another.
std::unique_ptr<RecordSource> concatenate(std::vector<std::unique_ptr<RecordSource>> parts);

}  // namespace lmms::data
