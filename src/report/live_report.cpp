#include "report/live_report.h"

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <string>
#include <utility>

#include "core/clock.h"
#include "core/error.h"
#include "core/files.h"
#include "core/log.h"
#include "core/threads.h"
#include "report/page.h"

namespace lmms::report {
namespace {

using Clock = std::chrono::steady_clock;

// Pauses in multiples of what the last page took: 2 % of a core by the clock, 5 % if asked for all
// the time.
constexpr int kPausePerPage = 50;
constexpr int kPauseIfAsked = 20;
constexpr std::chrono::milliseconds kShortestPause{500};

/// The files, and the page that was made of them last.
class Writer {
 public:
  Writer(const std::filesystem::path& folder, ReadConfig read_config)
      : page_(folder / "report.html"), run_(folder, std::move(read_config)) {}

  void write(bool running) {
    try {
      const bool changed = run_.update();
      if (!run_.found() || (!changed && !failed_ && running)) return;
      failed_ = true;
      write_atomically(page_,
                       render(std::span(&run_, 1), {.now = unix_seconds(), .running = running}));
      failed_ = false;
    } catch (const Error& error) {
      warn(error.fault().what);
    } catch (const std::exception& error) {
      warn(error.what());
    }
  }

 private:
  void warn(const std::string& why) {
    if (!std::exchange(warned_, true))
      log::warning(page_.string() + " is not written: " + why + "; training goes on without it");
  }

  std::filesystem::path page_;
  RunFiles run_;
  bool failed_ = false, warned_ = false;
};

}  // namespace

LiveReport::LiveReport(std::filesystem::path folder, ReadConfig read_config,
                       std::chrono::milliseconds period)
    : folder_(std::move(folder)),
      read_config_(std::move(read_config)),
      period_(period),
      thread_([this] { run(); }) {}

LiveReport::~LiveReport() {
  {
    std::lock_guard lock(mutex_);
    stop_ = true;
  }
  wake_.notify_one();
  thread_.join();
}

void LiveReport::refresh() {
  {
    std::lock_guard lock(mutex_);
    if (std::exchange(refresh_requested_, true)) return;
  }
  wake_.notify_one();
}

void LiveReport::run() {
  name_this_thread("report");
  ::setpriority(PRIO_PROCESS, static_cast<id_t>(::gettid()), 10);  // threads of training go first
  Writer writer(folder_, read_config_);
  std::unique_lock lock(mutex_);
  while (!stop_) {
    refresh_requested_ = false;
    lock.unlock();
    const auto begun = Clock::now();
    writer.write(/*running=*/true);
    const auto ended = Clock::now();
    lock.lock();
    const auto took = ended - begun;
    const auto soonest = ended + std::max<Clock::duration>(kShortestPause, kPauseIfAsked * took);
    const auto next = ended + std::max<Clock::duration>(period_, kPausePerPage * took);
    wake_.wait_until(lock, next, [this] { return stop_ || refresh_requested_; });
    wake_.wait_until(lock, std::min(soonest, next), [this] { return stop_; });
  }
  lock.unlock();
  writer.write(/*running=*/false);
}

}  // namespace lmms::report
