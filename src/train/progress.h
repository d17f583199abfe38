#pragma once
/// How far a run is: a bar in one line of the terminal, or plain lines.
#include <chrono>
#include <cstdint>
#include <mutex>
#include <optional>
#include <string>

namespace lmms::train {

/// What is shown of a step.
struct ProgressLine {
  int64_t step = 0;
  std::optional<int64_t> total_steps;
  double done = 0;  ///< share of the training, [0, 1]
  double loss = 0, grad_norm = 0, learning_rate = 0, tokens_per_second = 0, mfu = 0;
  double images_per_second = 0;  ///< 0: samples are no images; shown in place of tokens
  int64_t memory_bytes = 0;
  std::optional<double> seconds_left;
  bool skipped = false;  ///< no update was made
  bool logged = false;   ///< by logging_steps
};

/// The line for a terminal `width` columns wide: the bar first loses its length, then the least
/// needed fields are left out.
std::string render_bar(const ProgressLine& line, int width);
/// One plain line, with what belongs to a record of the step besides.
std::string render_plain(const ProgressLine& line);
/// "1 h 02 min", "3 min 05 s", "12 s".
std::string text_of_seconds(double seconds);

/// What is printed on stderr while steps go by.
enum class ProgressForm {
  bar,           ///< one line of the terminal, drawn anew
  now_and_then,  ///< a plain line every few seconds: stderr is a file or a pipe
  logged_steps,  ///< a plain line for every step that is logged: disable_tqdm
  none           ///< --quiet
};
ProgressForm progress_form(bool disable_tqdm);

/// Lines of the log may be written from any thread meanwhile: the bar steps aside.
class Progress {
 public:
  explicit Progress(ProgressForm form);
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;
  void update(const ProgressLine& line);
  /// Leaves the last state of the bar on the screen.
  void finish();

 private:
  void draw() const;
  const ProgressForm form_;
  std::mutex mutex_;
  std::optional<ProgressLine> last_;
  std::chrono::steady_clock::time_point next_{};
};

}  // namespace lmms::train
