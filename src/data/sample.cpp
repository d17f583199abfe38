#include "data/sample.h"

namespace lmms::data {
namespace {

template <class T>
int64_t bytes_of(const std::vector<T>& values) {
  return static_cast<int64_t>(values.size() * sizeof(T));
}

}  // namespace

int64_t Sample::length() const {
  if (!text.input_ids.empty()) return static_cast<int64_t>(text.input_ids.size());
  int64_t tokens = 0;
  for (const MediaPart& part : media) tokens += static_cast<int64_t>(part.tokens.size());
  return tokens;
}

int64_t Sample::supervised() const {
  int64_t count = 0;
  for (size_t t = 0; t < text.labels.size(); ++t) {
    const bool weighed = text.weights.empty() || text.weights[t] != 0;
    count += text.labels[t] != kIgnore && weighed;
  }
  return count;
}

int64_t Sample::bytes() const {
  constexpr int64_t kHeaders = 256;
  int64_t sum = kHeaders + bytes_of(text.input_ids) + bytes_of(text.position_ids) +
                bytes_of(text.labels) + bytes_of(text.weights) + bytes_of(segments);
  for (const MediaPart& part : media) {
    sum += static_cast<int64_t>(sizeof(MediaPart)) + bytes_of(part.values) + bytes_of(part.grids) +
           bytes_of(part.layouts) + bytes_of(part.tokens);
  }
  for (const auto& [name, values] : extras)
    sum += static_cast<int64_t>(name.size()) + bytes_of(values);
  for (const auto& [term, count] : counts) sum += static_cast<int64_t>(term.size() + sizeof(count));
  return sum;
}

}  // namespace lmms::data
