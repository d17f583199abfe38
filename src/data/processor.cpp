#include "data/processor.h"

#include <algorithm>

#include "data/media_format.h"

namespace lmms::data {

Measured measure_text(Sample sample) {
  Measured measured;
  measured.length = sample.length();
  measured.supervised =
      sample.length() - std::count(sample.text.labels.begin(), sample.text.labels.end(), kIgnore);
  measured.grids = sample.vision.grids;
  measured.sample = std::make_shared<const Sample>(std::move(sample));
  return measured;
}

std::vector<MediumView> Processor::look(const Record&, Pixels) const {
  return {};
}

void truncate(Sample& sample, int64_t limit) {
  if (sample.length() <= limit) return;
  sample.text.input_ids.resize(static_cast<size_t>(limit));
  sample.text.labels.resize(static_cast<size_t>(limit));
}

}  // namespace lmms::data
