#include "core/clock.h"

#include <chrono>

namespace lmms {

double unix_seconds() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

}  // namespace lmms
