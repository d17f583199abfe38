#include "core/nearest.h"

#include <algorithm>
#include <vector>

namespace lmms {
namespace {

size_t distance(std::string_view a, std::string_view b) {
  std::vector<std::vector<size_t>> d(a.size() + 1, std::vector<size_t>(b.size() + 1));
  for (size_t i = 0; i <= a.size(); ++i) d[i][0] = i;
  for (size_t j = 0; j <= b.size(); ++j) d[0][j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t change = a[i - 1] == b[j - 1] ? 0 : 1;
      d[i][j] = std::min({d[i - 1][j] + 1, d[i][j - 1] + 1, d[i - 1][j - 1] + change});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
        d[i][j] = std::min(d[i][j], d[i - 2][j - 2] + 1);
      }
    }
  }
  return d[a.size()][b.size()];
}

}  // namespace

std::optional<std::string> nearest_name(std::string_view word,
                                        std::span<const std::string> candidates) {
  const size_t limit = std::clamp<size_t>(word.size() / 3, 1, 3);
  size_t best = limit + 1;
  std::optional<std::string> found;
  for (const std::string& candidate : candidates) {
    const size_t d = distance(word, candidate);
    if (d < best) {
      best = d;
      found = candidate;
    }
  }
  return found;
}

std::optional<std::string> nearest_path(const std::filesystem::path& path) {
  constexpr size_t kMostLookedAt = 10'000;
  const auto bare = path.has_filename() ? path : path.parent_path();  // "out/"
  const auto folder = bare.parent_path();
  std::vector<std::string> names;
  std::error_code none;
  for (std::filesystem::directory_iterator entry(folder.empty() ? "." : folder, none), end;
       !none && entry != end && names.size() < kMostLookedAt; entry.increment(none)) {
    names.push_back(entry->path().filename().string());
  }
  std::sort(names.begin(), names.end());
  const auto near = nearest_name(bare.filename().string(), names);
  if (!near) return std::nullopt;
  return (folder / *near).string();
}

}  // namespace lmms
