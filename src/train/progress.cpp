#include "train/progress.h"

#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <functional>
#include <vector>

#include "core/format.h"
#include "core/log.h"
#include "core/terminal.h"

namespace lmms::train {
namespace {

using Clock = std::chrono::steady_clock;
constexpr auto kBarInterval = std::chrono::milliseconds(100);
constexpr auto kPlainInterval = std::chrono::seconds(5);

std::string rate_of(const ProgressLine& line) {
  const bool images = line.images_per_second > 0;
  const double rate = images ? line.images_per_second : line.tokens_per_second;
  const char* unit = images ? "img/s" : "tok/s";
  return rate >= 10000 ? fmt::format("{:.1f}k {}", rate / 1000, unit)
                       : fmt::format("{:.0f} {}", rate, unit);
}

std::string steps(const ProgressLine& line) {
  return line.total_steps ? fmt::format("step {}/{}", line.step, *line.total_steps)
                          : fmt::format("step {}", line.step);
}

// Most needed first.
std::vector<std::string> fields(const ProgressLine& line) {
  std::vector<std::string> out{steps(line), fmt::format("loss {:.4f}", line.loss), rate_of(line)};
  if (line.seconds_left) out.push_back(text_of_seconds(*line.seconds_left) + " left");
  out.push_back(fmt::format("MFU {:.1f} %", line.mfu * 100));
  out.push_back(fmt::format("{:.1f} GiB", static_cast<double>(line.memory_bytes) / (1 << 30)));
  return out;
}

// Not by the log: train.log has a line for every logged step already.
void print_plain(const ProgressLine& line) {
  std::fprintf(stderr, "%s\n", render_plain(line).c_str());
}

}  // namespace

std::string text_of_seconds(double seconds) {
  const auto s = static_cast<int64_t>(std::max(0.0, seconds) + 0.5);
  if (s >= 3600) return fmt::format("{} h {:02} min", s / 3600, s / 60 % 60);
  if (s >= 60) return fmt::format("{} min {:02} s", s / 60, s % 60);
  return fmt::format("{} s", s);
}

std::string render_bar(const ProgressLine& line, int width) {
  const double done = std::clamp(line.done, 0.0, 1.0);
  std::string text = fmt::format("{:3.0f} %", std::floor(done * 100));
  int used = static_cast<int>(text.size());
  for (const std::string& field : fields(line)) {
    if (used + 3 + static_cast<int>(field.size()) > width - 1) break;
    text += " | " + field;
    used += 3 + static_cast<int>(field.size());
  }
  const int cells = std::min(30, width - 1 - used - 3);
  if (cells < 5) return text;
  const int full = static_cast<int>(done * cells);
  return "[" + std::string(static_cast<size_t>(full), '#') +
         std::string(static_cast<size_t>(cells - full), '.') + "] " + text;
}

std::string render_plain(const ProgressLine& line) {
  std::vector<std::string> shown = fields(line);
  shown.insert(shown.begin() + 2, {fmt::format("lr {:.3g}", line.learning_rate),
                                   fmt::format("grad norm {:.3g}", line.grad_norm)});
  std::string text;
  for (const std::string& field : shown) text += (text.empty() ? "" : " | ") + field;
  return line.skipped ? text + " | skipped" : text;
}

ProgressForm progress_form(bool disable_tqdm) {
  if (!log::shows(log::Level::info)) return ProgressForm::none;
  if (disable_tqdm) return ProgressForm::logged_steps;
  return ::isatty(STDERR_FILENO) == 1 ? ProgressForm::bar : ProgressForm::now_and_then;
}

Progress::Progress(ProgressForm form) : form_(form) {
  if (form_ != ProgressForm::bar) return;
  log::set_line_guard([this](const std::function<void()>& print) {
    const std::lock_guard lock(mutex_);
    std::fputs("\r\033[K", stderr);
    print();
    draw();
  });
}

Progress::~Progress() {
  if (form_ != ProgressForm::bar) return;
  log::set_line_guard({});
  if (last_) std::fputc('\n', stderr);  // an error ends the run: its message gets its own line
}

void Progress::update(const ProgressLine& line) {
  const std::lock_guard lock(mutex_);
  last_ = line;
  if (form_ == ProgressForm::logged_steps) {
    if (line.logged) print_plain(line);
    return;
  }
  if (form_ == ProgressForm::none || Clock::now() < next_) return;
  const bool bar = form_ == ProgressForm::bar;
  next_ = Clock::now() + (bar ? Clock::duration(kBarInterval) : Clock::duration(kPlainInterval));
  if (bar) {
    draw();
  } else {
    print_plain(line);
  }
}

void Progress::finish() {
  const std::lock_guard lock(mutex_);
  if (!last_) return;
  if (form_ == ProgressForm::bar) {
    draw();
    std::fputc('\n', stderr);
  } else if (form_ == ProgressForm::now_and_then) {
    print_plain(*last_);
  }
  last_.reset();
}

void Progress::draw() const {
  if (last_) {
    std::fprintf(stderr, "\r\033[K%s",
                 render_bar(*last_, terminal_columns(STDERR_FILENO, 80)).c_str());
  }
  std::fflush(stderr);
}

}  // namespace lmms::train
