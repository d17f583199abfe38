#include "data/sample.h"

namespace lmms::data {

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

}  // namespace lmms::data
