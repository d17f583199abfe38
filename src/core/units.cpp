#include "core/units.h"

#include "core/format.h"

namespace lmms {

std::string grouped(int64_t n) {
  std::string digits = std::to_string(n);
  const int64_t first = n < 0 ? 1 : 0;  // behind the sign
  for (auto i = static_cast<int64_t>(digits.size()) - 3; i > first; i -= 3)
    digits.insert(static_cast<size_t>(i), ",");
  return digits;
}

std::string size_text(int64_t bytes) {
  constexpr double kMiB = 1 << 20, kGiB = 1 << 30;
  const auto b = static_cast<double>(bytes);
  if (b < 10 * 1024) return fmt::format("{} B", bytes);
  if (b < 10 * kMiB) return fmt::format("{:.1f} MiB", b / kMiB);
  if (b < kGiB) return fmt::format("{:.0f} MiB", b / kMiB);
  return fmt::format("{:.1f} GiB", b / kGiB);
}

}  // namespace lmms
