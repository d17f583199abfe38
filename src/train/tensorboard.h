#pragma once
/// Event files that TensorBoard reads, and `wandb sync` imports.
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "core/files.h"

namespace lmms::train {

/// Where the events of a run stand: OUTPUT_DIR/runs/NAME, as below Hugging Face's output_dir.
/// NAME is `run_name`, or the name of the output folder; characters that are no file name's become
/// '_'.
std::filesystem::path event_folder(const std::filesystem::path& output_dir,
                                   const std::optional<std::string>& run_name);

/// The tag of a field of metrics.jsonl, by Hugging Face's rule: "eval/loss" for "eval_loss",
/// "train/grad_norm" for "grad_norm".
std::string event_tag(std::string_view field);

/// One event file. Every start of a run writes one of its own into the same folder.
class EventFile {
 public:
  using Scalar = std::pair<std::string, double>;

  /// Makes the folder and events.out.tfevents.SECONDS.HOST.PID.0 in it, named so that it sorts
  /// behind those that are there. It begins with a session start at `first_step`, the first step
  /// that will be written: events at or beyond it from earlier files belong to steps that are
  /// trained again, and readers drop them. Throws Error if it cannot be written.
  EventFile(const std::filesystem::path& folder, int64_t first_step);
  ~EventFile();
  EventFile(const EventFile&) = delete;
  EventFile& operator=(const EventFile&) = delete;

  /// Adds one event: each scalar under its tag, as float32. `wall_time` in unix seconds. What is
  /// added reaches the file after five seconds at most while events come, and at flush().
  /// Throws Error (a full disk).
  void scalars(int64_t step, double wall_time, std::span<const Scalar> values);
  void flush();

  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
  std::optional<OutputFile> file_;
  std::string waiting_;
  std::chrono::steady_clock::time_point flushed_;
};

/// The records of such a file: TFRecord framing around an `Event` message of TensorFlow.
namespace event_records {
std::string version(double wall_time);
std::string session_start(double wall_time, int64_t step);
std::string scalars(double wall_time, int64_t step, std::span<const EventFile::Scalar> values);
}  // namespace event_records

}  // namespace lmms::train
