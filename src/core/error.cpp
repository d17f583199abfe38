#include "core/error.h"

namespace lmms {

std::string Fault::text() const {
  std::string out = where.empty() ? what : where + ": " + what;
  if (!fix.empty()) out += "\n    fix: " + fix;
  return out;
}

}  // namespace lmms
