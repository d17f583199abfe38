#include "train/batch_text.h"

#include <algorithm>
#include <span>

#include "core/format.h"

namespace lmms::train {

std::string first_sample_text(const data::Batch& batch, const text::Tokenizer* tokenizer) {
  if (batch.samples == 0 || batch.segments.empty()) return "";
  const auto start = static_cast<size_t>(batch.segments.front().start);
  size_t length = 0;
  for (const data::Segment& segment : batch.segments)
    if (segment.sample == 0) length += static_cast<size_t>(segment.length);
  const auto weights = std::span(batch.weights).subspan(start, length);
  const auto trained = std::count_if(weights.begin(), weights.end(), [](float w) { return w > 0; });
  if (tokenizer == nullptr)
    return fmt::format("sample 1 of {}: {} tokens, no text", batch.samples, length);
  return fmt::format("sample 1 of {}: {} tokens, {} of them targets\n{}", batch.samples, length,
                     trained, tokenizer->decode(std::span(batch.input_ids).subspan(start, length)));
}

}  // namespace lmms::train
