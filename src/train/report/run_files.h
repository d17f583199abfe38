#pragma once
/// The files of an output folder that a report is made of, read as they grow.
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "train/report/journal.h"
#include "train/report/line_tail.h"
#include "train/report/table.h"

namespace lmms::train {
struct TrainConfig;
}

namespace lmms::train::report {

/// metrics.jsonl, journal.jsonl, config.resolved.yaml and finished.json of one run. Each may be
/// missing, torn or hold garbage: what can be read is here, the rest is counted.
class RunFiles {
 public:
  explicit RunFiles(std::filesystem::path folder);
  RunFiles(RunFiles&&) noexcept;
  ~RunFiles();

  /// Reads what is new; true if something is. Never throws for what the files hold.
  bool update();

  const std::filesystem::path& folder() const { return folder_; }
  /// trainer_args.run_name, else the folder's name.
  std::string name() const;
  /// False: neither metrics nor a journal are there.
  bool found() const { return metrics_file_.exists() || journal_file_.exists(); }

  const Table& steps() const { return steps_; }
  const Table& evaluations() const { return evaluations_; }  ///< rows with eval_loss, eval_exact
  const Journal& journal() const { return journal_; }
  size_t unread_lines() const { return unread_metrics_ + unread_journal_; }
  bool finished() const { return finished_; }  ///< finished.json is there
  /// When metrics or journal were written last, unix seconds; 0: never.
  double last_write() const;

  const std::string& config_text() const { return config_text_; }
  /// "key: value" of what differs from the defaults; empty if the config cannot be read.
  const std::vector<std::string>& config_changes() const { return config_changes_; }
  /// Nothing if the file is missing or is no config of this version.
  const TrainConfig* config() const { return config_.get(); }

 private:
  void add_metrics(std::string_view line);
  bool update_config();

  struct Parser;  // keeps simdjson out of this header
  std::filesystem::path folder_;
  std::unique_ptr<Parser> parser_;
  LineTail metrics_file_, journal_file_;
  Table steps_, evaluations_;
  Journal journal_;
  size_t unread_metrics_ = 0, unread_journal_ = 0;
  bool finished_ = false;
  std::string config_text_;
  std::vector<std::string> config_changes_;
  std::unique_ptr<TrainConfig> config_;
};

}  // namespace lmms::train::report
