#include "train/interruption.h"

#include <unistd.h>

#include <csignal>
#include <cstdio>

#include "core/format.h"
#include "core/log.h"

namespace lmms::train {
namespace {

std::string what_happens(const Activity& a) {
  using Kind = Activity::Kind;
  const std::string save =
      a.saved == a.step ? "which is saved already" : fmt::format("then saving step {}", a.step);
  switch (a.kind) {
    case Kind::waiting:
      return a.step == 0 ? "stopping before the first step"
                         : fmt::format("stopping after step {}, ", a.step) +
                               (a.saved == a.step ? "which is saved already" : "then saving it");
    case Kind::step:
      return fmt::format("finishing step {}, then saving it", a.step);
    case Kind::evaluation:
      return a.step == 0 ? "leaving the evaluation before the first step"
                         : fmt::format("leaving the evaluation after step {}, {}", a.step, save);
    case Kind::saving:
      return fmt::format("saving step {}, then stopping", a.step);
    case Kind::finishing:
      return "the run is over, its model is being written";
  }
  return "stopping";
}

}  // namespace

std::string stop_text(int signal, const Activity& activity) {
  std::string text = signal_text(signal) + ": " + what_happens(activity);
  if (signal != SIGINT) return text;
  text += ". A second Ctrl-C ends at once";
  const bool loses = activity.step > activity.saved && activity.kind != Activity::Kind::finishing;
  if (!loses) return text;
  return text + (activity.saved == 0 ? ", and nothing is saved yet"
                                     : fmt::format(", without the steps after {}", activity.saved));
}

Interruption::Interruption(int64_t saved_step)
    : activity_{.step = saved_step, .saved = saved_step},
      signals_([this](int signal) { tell(signal); }) {}

void Interruption::now(Activity::Kind kind, int64_t step) {
  const std::lock_guard lock(mutex_);
  activity_.kind = kind;
  activity_.step = step;
}

void Interruption::saved(int64_t step) {
  const std::lock_guard lock(mutex_);
  activity_.saved = step;
}

void Interruption::tell(int signal) {
  Activity activity;
  {
    const std::lock_guard lock(mutex_);
    activity = activity_;
  }
  // over the ^C with which the terminal answers
  if (signal == SIGINT && ::isatty(STDERR_FILENO) == 1) std::fputc('\r', stderr);
  log::write_always(log::Level::info, stop_text(signal, activity));
}

}  // namespace lmms::train
