#include "core/log.h"

#include <algorithm>
#include <cstdio>
#include <mutex>
#include <set>
#include <vector>

namespace lmms::log {
namespace {

struct Sink {
  std::mutex mutex;
  std::set<std::string> said;
  std::function<void(const std::function<void()>&)> guard;
  std::vector<const Listener*> listeners;
  Level least = Level::info;
};

Sink& sink() {
  static Sink instance;
  return instance;
}

void print(Sink& out, Level level, const std::string& text, bool always) {
  const auto line = [&] { std::fprintf(stderr, "%s%s\n", prefix(level), text.c_str()); };
  if (always || level >= out.least) {
    if (out.guard) {
      out.guard(line);
    } else {
      line();
    }
  }
  for (const Listener* listener : out.listeners) listener->hear(level, text);
}

}  // namespace

const char* prefix(Level level) {
  if (level == Level::info) return "";
  return level == Level::notice ? "notice: " : "warning: ";
}

void write(Level level, const std::string& text) {
  std::lock_guard lock(sink().mutex);
  print(sink(), level, text, /*always=*/false);
}

void write_always(Level level, const std::string& text) {
  std::lock_guard lock(sink().mutex);
  print(sink(), level, text, /*always=*/true);
}

void warn_once(const std::string& text) {
  std::lock_guard lock(sink().mutex);
  if (sink().said.insert(text).second) print(sink(), Level::warning, text, /*always=*/false);
}

void show_from(Level least) {
  std::lock_guard lock(sink().mutex);
  sink().least = least;
}

bool shows(Level level) {
  std::lock_guard lock(sink().mutex);
  return level >= sink().least;
}

Listener::Listener(Hear hear) : hear_(std::move(hear)) {
  std::lock_guard lock(sink().mutex);
  sink().listeners.push_back(this);
}

Listener::~Listener() {
  std::lock_guard lock(sink().mutex);
  std::erase(sink().listeners, this);
}

void set_line_guard(std::function<void(const std::function<void()>& print)> guard) {
  std::lock_guard lock(sink().mutex);
  sink().guard = std::move(guard);
}

}  // namespace lmms::log
