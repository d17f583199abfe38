#include "core/config/faults.h"

#include <algorithm>

#include "core/error.h"
#include "core/format.h"

namespace lmms::config {

std::string Position::text() const {
  if (!known()) return "";
  return line == 0 ? *source : fmt::format("{}:{}:{}", *source, line, column);
}

void Faults::add(const Position& at, const std::string& key, const std::string& what) {
  keys_.insert(key);
  std::string text = at.text();
  for (const std::string& part : {key, what}) {
    if (part.empty()) continue;
    if (!text.empty()) text += ": ";
    text += part;
  }
  faults_.push_back({at, std::move(text)});
}

void Faults::add_not_built(const Position& at, const std::string& key, const std::string& value,
                           const std::string& expected) {
  keys_.insert(key);
  add(at, "", fmt::format("not built yet: {}={}; expected {}", key, value, expected));
}

void Faults::add_later(const Position& at, const std::string& key, const std::string& value,
                       std::string_view what) {
  keys_.insert(key);
  add(at, "", fmt::format("not built yet: {}={} ({}); leave it out", key, value, what));
}

std::string Faults::text() const {
  constexpr size_t kMostShown = 100;
  std::vector<Entry> sorted = faults_;
  std::stable_sort(sorted.begin(), sorted.end(),
                   [](const Entry& a, const Entry& b) { return a.at < b.at; });
  std::string text;
  for (size_t i = 0; i < std::min(sorted.size(), kMostShown); ++i) {
    if (i > 0) text += '\n';
    text += sorted[i].text;
  }
  if (sorted.size() > kMostShown)
    text += fmt::format("\nand {} more faults", sorted.size() - kMostShown);
  return text;
}

void Faults::throw_if_any() const {
  if (!empty()) throw Error("", text());
}

}  // namespace lmms::config
