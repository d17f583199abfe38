#include "data/processor.h"

#include <algorithm>

#include "data/media_format.h"

namespace lmms::data {

Measured measure_sample(Sample sample, bool decoded) {
  Measured measured;
  measured.length = sample.length();
  measured.supervised = sample.supervised();
  for (const MediaPart& part : sample.media)
    if (!part.grids.empty()) measured.media[part.kind].grids = part.grids;
  measured.decoded = decoded;
  measured.sample = std::make_shared<const Sample>(std::move(sample));
  return measured;
}

std::vector<MediumView> Processor::view_media(const Record&, Pixels) const {
  return {};
}

void truncate(Sample& sample, int64_t limit) {
  if (sample.length() <= limit) return;
  sample.text.input_ids.resize(static_cast<size_t>(limit));
  sample.text.labels.resize(static_cast<size_t>(limit));
  if (!sample.text.weights.empty()) sample.text.weights.resize(static_cast<size_t>(limit));
  int64_t rest = limit;
  for (SampleSegment& segment : sample.segments) {
    segment.length = static_cast<int32_t>(std::min<int64_t>(segment.length, rest));
    rest -= segment.length;
  }
  std::erase_if(sample.segments, [](const SampleSegment& segment) { return segment.length == 0; });
}

}  // namespace lmms::data
