#pragma once
/// The files of an output folder that a report is made of, read as they grow.
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "core/config/node.h"
#include "report/journal.h"
#include "report/line_tail.h"
#include "report/table.h"

namespace lmms::report {

/// What a page shows of a run's config.
struct ConfigFacts {
  std::string run_name;              ///< empty: it has none
  std::optional<double> epochs;      ///< that the run trains; absent: its end is a number of steps
  std::vector<std::string> changes;  ///< "key: value" of what differs from the defaults
  config::Node tree;                 ///< every key (config::write_config), to compare runs
};

/// Reads a config.resolved.yaml. Throws, or returns nothing, for one that is torn or of another
/// version.
using ReadConfig = std::function<std::optional<ConfigFacts>(const std::filesystem::path& file)>;

/// metrics.jsonl, journal.jsonl, config.resolved.yaml and finished.json of one run. Each may be
/// missing, torn or hold garbage: what can be read is here, the rest is counted.
class RunFiles {
 public:
  RunFiles(std::filesystem::path folder, ReadConfig read_config);
  RunFiles(RunFiles&&) noexcept;
  ~RunFiles();

  /// Reads what is new; true if something is. Never throws for what the files hold.
  bool update();

  const std::filesystem::path& folder() const { return folder_; }
  /// The config's run_name, else the folder's name.
  std::string name() const;
  /// False: neither metrics nor a journal are there.
  bool found() const { return metrics_file_.exists() || journal_file_.exists(); }

  const Table& steps() const { return steps_; }
  const Table& evaluations() const { return evaluations_; }  ///< rows with eval_loss, eval_exact
  const Journal& journal() const { return journal_; }
  size_t unread_lines() const { return unread_metrics_ + unread_journal_; }
  bool finished() const { return finished_; }  ///< finished.json is there
  /// Names of the folders "checkpoint-..." that lay in the folder at the last update().
  const std::set<std::string>& checkpoints() const { return checkpoints_; }
  /// Names of the files in the folder "samples" at the last update(): "samples/step-10.png".
  const std::set<std::string>& samples() const { return samples_; }
  /// When metrics or journal were written last, unix seconds; 0: never.
  double last_write() const;

  const std::string& config_text() const { return config_text_; }
  /// Nothing if the file is missing or cannot be read.
  const std::optional<ConfigFacts>& config() const { return config_; }

 private:
  void add_metrics(std::string_view line);
  bool update_config();

  struct Parser;  // keeps simdjson out of this header
  std::filesystem::path folder_;
  ReadConfig read_config_;
  std::unique_ptr<Parser> parser_;
  LineTail metrics_file_, journal_file_;
  Table steps_, evaluations_;
  Journal journal_;
  size_t unread_metrics_ = 0, unread_journal_ = 0;
  bool finished_ = false;
  std::set<std::string> checkpoints_, samples_;
  std::string config_text_;
  std::optional<ConfigFacts> config_;
};

}  // namespace lmms::report
