#pragma once
/// The first rows of sources, or named ones, read without an index over the rest.
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/error.h"
#include "data/config.h"
#include "data/record.h"
#include "data/source.h"

namespace lmms::data {

/// The rows of one file from its front. JSON, JSONL and CSV are read as far as is asked and no
/// further; Arrow and Parquet by their own tables of contents.
class RowCursor {
 public:
  virtual ~RowCursor() = default;
  /// The next row; nullopt at the end of the file. A broken row is a Fault of its own. Throws Error
  /// if the file as a whole turns out to be broken (a list that is cut off).
  virtual std::optional<Result<Record>> next() = 0;
  /// To the row with this number, which next() then gives: its Origin::row, in CSV any line of it.
  /// The fault, without a `where`, says why there is none. Rows on the way are passed, not parsed.
  virtual std::optional<Fault> seek(int64_t number) = 0;
  /// Bytes of the file before the next row, and so the most that were looked at; nullopt for Arrow
  /// and Parquet.
  virtual std::optional<int64_t> bytes_passed() const { return std::nullopt; }

 protected:
  static std::string next_row_is(int64_t line);
};

/// Opens a file of a source (or a folder of `datasets.save_to_disk`).
Result<std::unique_ptr<RowCursor>> open_cursor(const std::string& file, Format format);

/// The rows of a source from its front. A later file is opened when its first row is asked for.
class SourceHead {
 public:
  /// Faults: nothing there, a format that nothing tells, a first file that does not open.
  static Result<SourceHead> open(const SourceConfig& config);

  /// The next row; nullopt at the end. Throws Error if a later file does not open.
  std::optional<Result<Record>> next();

  Format format() const { return format_; }
  const std::vector<std::string>& files() const { return files_; }
  /// Of all files together.
  int64_t total_bytes() const { return total_bytes_; }
  /// The most that was looked at so far; nullopt for Arrow and Parquet.
  std::optional<int64_t> bytes_passed() const;

 private:
  Format format_ = Format::jsonl;
  std::vector<std::string> files_;
  std::shared_ptr<const std::string> data_folder_;
  int64_t total_bytes_ = 0;
  int64_t bytes_before_ = 0;  ///< of the files that are done
  size_t file_ = 0;
  std::unique_ptr<RowCursor> cursor_;
};

/// Rows by the names under which errors print them.
class NamedRows {
 public:
  explicit NamedRows(std::vector<SourceConfig> sources) : sources_(std::move(sources)) {}

  struct Found {
    int32_t source = 0;     ///< index in the sources
    Result<Record> record;  ///< a broken row is a Fault here
  };
  /// The row called `name`:
  ///   FILE:ROW     "data/chats.jsonl:18233"; the end of the path is enough if it fits one file
  ///   SOURCE:ROW   "2:18233", the second source, which is one file
  ///   ROW          "18233", if there is one source, of one file
  /// ROW counts from 1; in JSONL and CSV it is a line of the file. Faults: no such file or row, or
  /// a name that fits several. Asking in ascending order reads a file once.
  Result<Found> read(const std::string& name);

 private:
  struct File {
    int32_t source = 0;
    std::string path;
  };
  Result<File> find(const std::string& name, const std::string& place) const;
  Result<File> only_file(int32_t source, const std::string& name) const;

  std::vector<SourceConfig> sources_;
  std::map<std::string, std::unique_ptr<RowCursor>> cursors_;  ///< by file
};

}  // namespace lmms::data
