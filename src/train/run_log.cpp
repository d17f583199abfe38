#include "train/run_log.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include "core/clock.h"
#include "core/error.h"
#include "core/files.h"
#include "core/format.h"
#include "core/threads.h"

namespace lmms::train {
namespace {

// Bytes: far more than a run says while a disk hangs for a minute.
constexpr size_t kMostWaiting = size_t{1} << 20;

// A line of the file for each line of the text. Texts of models and data may hold what commands a
// terminal.
std::string stamped(double time, std::string_view text) {
  const std::string stamp = local_time(time);
  if (text.ends_with('\n')) text.remove_suffix(1);
  std::string out;
  for (size_t begin = 0; begin <= text.size();) {
    const size_t end = std::min(text.find('\n', begin), text.size());
    out += stamp;
    out += ' ';
    for (const char c : text.substr(begin, end - begin)) {
      const bool control = (static_cast<unsigned char>(c) < 0x20 && c != '\t') || c == 0x7F;
      out += control ? '?' : c;
    }
    out += '\n';
    begin = end + 1;
  }
  return out;
}

int64_t lines_of(const std::string& text) {
  return std::count(text.begin(), text.end(), '\n');
}

}  // namespace

RunLog::RunLog()
    : begun_(unix_seconds()), listener_([this](log::Level level, const std::string& text) {
        line(log::prefix(level) + text);
      }) {}

RunLog::~RunLog() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  wake_.notify_one();
  if (writer_.joinable()) writer_.join();
}

void RunLog::open(const std::filesystem::path& dir, const std::string& head) {
  {
    const std::lock_guard lock(mutex_);
    path_ = dir / "train.log";
    waiting_.insert(0, stamped(begun_, head));
  }
  writer_ = std::thread([this] { write(); });
}

void RunLog::line(const std::string& text) {
  const std::string lines = stamped(unix_seconds(), text);
  {
    const std::lock_guard lock(mutex_);
    if (waiting_.size() + lines.size() > kMostWaiting) {
      lost_ += lines_of(lines);
      return;
    }
    waiting_ += lines;
  }
  wake_.notify_one();
}

void RunLog::write() {
  name_this_thread("train.log");
  std::unique_lock lock(mutex_);
  for (;;) {
    wake_.wait(lock, [this] { return stop_ || !waiting_.empty(); });
    if (waiting_.empty()) return;
    const int64_t lost = std::exchange(lost_, 0);
    std::string lines = std::exchange(waiting_, {});
    lock.unlock();
    std::string failure;
    try {
      const std::string gap =
          fmt::format("({} lines are missing: they could not be written)", lost);
      append((lost > 0 ? stamped(unix_seconds(), gap) : "") + lines);
    } catch (const Error& error) {
      failure = error.fault().what;
      mended_ = false;  // a part may be there
    }
    if (!failure.empty() && !std::exchange(warned_, true)) {
      log::warning(fmt::format("{} is not written: {}; training goes on without it", path_.string(),
                               failure));
    }
    lock.lock();
    if (!failure.empty()) lost_ += lost + lines_of(lines);
  }
}

// Opened each time: a log that was moved away or deleted begins anew.
void RunLog::append(const std::string& lines) {
  const bool torn = !mended_ && ends_inside_a_line(path_);
  OutputFile file(path_, OutputFile::Open::append);
  file.write(torn ? "\n" + lines : lines);
  file.close();
  mended_ = true;
}

}  // namespace lmms::train
