#pragma once
/// The progress bar: one line that fits the terminal, or plain lines where there is none.
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

namespace lmms::train {

/// What the bar shows of a step.
struct ProgressLine {
  int64_t step = 0;
  std::optional<int64_t> total_steps;
  double done = 0;  ///< share of the training, [0, 1]
  double loss = 0, tokens_per_second = 0, mfu = 0;
  int64_t memory_bytes = 0;
  std::optional<double> seconds_left;
};

/// The line for a terminal `width` columns wide: the bar first loses its length, then the least
/// needed fields are left out.
std::string render_bar(const ProgressLine& line, int width);
/// One plain line.
std::string render_plain(const ProgressLine& line);
/// "1 h 02 min", "3 min 05 s", "12 s".
std::string text_of_seconds(double seconds);

class Progress {
 public:
  /// Draws on stderr if it is a terminal and `enabled`; else prints a plain line now and then.
  explicit Progress(bool enabled);
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;
  void update(const ProgressLine& line);
  /// Leaves the last state of the bar on the screen.
  void finish();

 private:
  void draw();
  void clear();
  bool terminal_;
  bool enabled_;
  std::optional<ProgressLine> last_;
  std::chrono::steady_clock::time_point next_{};
};

}  // namespace lmms::train
