#pragma once
/// journal.jsonl: what a run tells besides numbers (report/journal.h reads it).
#include <cstdint>
#include <filesystem>
#include <mutex>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "core/log.h"

namespace lmms::train {

/// Appends records: objects with `kind`, `time` (unix seconds) and `step`. From its beginning it
/// also takes every notice and warning that is printed; until it is opened, records wait. One that
/// cannot be written (a full disk) is dropped: the journal never ends a run. Thread-safe.
class JournalFile {
 public:
  JournalFile();
  JournalFile(const JournalFile&) = delete;
  JournalFile& operator=(const JournalFile&) = delete;

  /// Goes on in DIR/journal.jsonl. `start` is the record of this start and comes before all that
  /// wait; the run goes on after `step`.
  void open(const std::filesystem::path& dir, int64_t step, nlohmann::json start);
  void write(const char* kind, nlohmann::json record);
  /// The step that records belong to from here on.
  void set_step(int64_t step);

 private:
  void append(const std::string& lines);

  std::mutex mutex_;
  std::optional<std::filesystem::path> path_;
  int64_t step_ = 0;
  std::string waiting_;
  log::Listener listener_;  // last: it hears into what stands before it
};

}  // namespace lmms::train
