#include "core/log.h"

#include <cstdio>
#include <mutex>
#include <set>

namespace lmms::log {
namespace {

struct Sink {
  std::mutex mutex;
  std::set<std::string> said;
  std::function<void()> before, after;
  std::function<void(Level, const std::string&)> listener;
};

Sink& sink() {
  static Sink instance;
  return instance;
}

void print(Sink& out, Level level, const std::string& text) {
  const char* prefix = level == Level::info     ? ""
                       : level == Level::notice ? "notice: "
                                                : "warning: ";
  if (out.before) out.before();
  std::fprintf(stderr, "%s%s\n", prefix, text.c_str());
  if (out.after) out.after();
  if (out.listener) out.listener(level, text);
}

}  // namespace

void write(Level level, const std::string& text) {
  std::lock_guard lock(sink().mutex);
  print(sink(), level, text);
}

void warn_once(const std::string& text) {
  std::lock_guard lock(sink().mutex);
  if (sink().said.insert(text).second) print(sink(), Level::warning, text);
}

void set_line_hooks(std::function<void()> before, std::function<void()> after) {
  std::lock_guard lock(sink().mutex);
  sink().before = std::move(before);
  sink().after = std::move(after);
}

void set_listener(std::function<void(Level, const std::string&)> listener) {
  std::lock_guard lock(sink().mutex);
  sink().listener = std::move(listener);
}

}  // namespace lmms::log
