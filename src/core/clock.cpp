#include "core/clock.h"

#include <array>
#include <chrono>
#include <cmath>
#include <ctime>

namespace lmms {

double unix_seconds() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

std::string local_time(double unix_seconds) {
  const auto seconds = static_cast<std::time_t>(std::floor(unix_seconds));
  std::tm time{};
  ::localtime_r(&seconds, &time);
  std::array<char, 64> text{};
  std::string out(text.data(),
                  std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%S%z", &time));
  return out.insert(out.size() - 2, ":");  // +0100, as strftime has it
}

}  // namespace lmms
