#include "data/collate.h"

#include <algorithm>
#include <numeric>

namespace lmms::data {
namespace {

void append(Batch& batch, const Sample& sample) {
  const auto start = static_cast<int32_t>(batch.tokens());
  const auto length = static_cast<int32_t>(sample.length());
  const auto& text = sample.text;
  batch.input_ids.insert(batch.input_ids.end(), text.input_ids.begin(), text.input_ids.end());
  for (int32_t t = 0; t < length; ++t) {
    const int32_t label = text.labels[static_cast<size_t>(t)];
    const bool trained = label != kIgnore;
    batch.labels.push_back(trained ? label : 0);
    batch.weights.push_back(trained ? 1.0f : 0.0f);
    batch.supervised_tokens += trained;
  }
  const SampleVision& vision = sample.vision;
  batch.vision.patches.insert(batch.vision.patches.end(), vision.patches.begin(),
                              vision.patches.end());
  batch.vision.grids.insert(batch.vision.grids.end(), vision.grids.begin(), vision.grids.end());
  batch.vision.layouts.insert(batch.vision.layouts.end(), vision.layouts.begin(),
                              vision.layouts.end());
  for (const int32_t t : vision.tokens) batch.vision.rows.push_back(int64_t{start} + t);
  batch.segments.push_back({.start = start,
                            .length = length,
                            .mode = AttentionMode::causal,
                            .sample = static_cast<int32_t>(batch.samples++),
                            .group = 0,
                            .role = 0});
}

/// Appends a segment of pads.
void add_pads(Batch& batch, int64_t missing, int32_t pad_id) {
  if (missing == 0) return;
  batch.segments.push_back({.start = static_cast<int32_t>(batch.tokens()),
                            .length = static_cast<int32_t>(missing),
                            .mode = AttentionMode::causal,
                            .sample = -1,
                            .group = 0,
                            .role = 0});
  for (int64_t t = 0; t < missing; ++t) {
    batch.input_ids.push_back(pad_id);
    batch.labels.push_back(0);
    batch.weights.push_back(0.0f);
  }
}

/// Positions of every segment: one axis if that is all that any sample has.
void lay_out_positions(Batch& batch, std::span<const RowSamples> rows) {
  std::vector<const Sample*> samples;
  bool three_axes = false;
  for (const auto& row : rows) {
    for (const auto& sample : row) {
      samples.push_back(sample.get());
      three_axes = three_axes || !sample->text.position_ids.empty();
    }
  }
  const size_t T = batch.input_ids.size();
  batch.position_ids.resize(three_axes ? 3 * T : T);
  for (size_t axis = 0; axis < (three_axes ? 3 : 1); ++axis) {
    int32_t* out = batch.position_ids.data() + axis * T;
    for (size_t s = 0; s < batch.segments.size(); ++s) {  // the pad is the last one
      const auto length = static_cast<size_t>(batch.segments[s].length);
      if (s < samples.size() && !samples[s]->text.position_ids.empty()) {
        std::copy_n(samples[s]->text.position_ids.data() + axis * length, length, out);
      } else {
        std::iota(out, out + length, 0);
      }
      out += length;
    }
  }
}

}  // namespace

Batch collate(std::span<const RowSamples> rows, int64_t pad_multiple, int32_t pad_id) {
  Batch batch;
  int64_t tokens = 0;
  size_t pixels = 0;
  for (const auto& row : rows) {
    for (const auto& sample : row) {
      tokens += sample->length();
      pixels += sample->vision.patches.size();
    }
  }
  batch.vision.patches.reserve(pixels);
  const auto capacity = static_cast<size_t>(tokens + pad_multiple);
  batch.input_ids.reserve(capacity);
  batch.labels.reserve(capacity);
  batch.weights.reserve(capacity);
  for (const auto& row : rows) {
    batch.rows += !row.empty();
    for (const auto& sample : row) append(batch, *sample);
  }
  batch.valid_tokens = batch.tokens();
  add_pads(batch, (pad_multiple - batch.tokens() % pad_multiple) % pad_multiple, pad_id);
  lay_out_positions(batch, rows);
  return batch;
}

Batch dummy_batch(int64_t pad_multiple, int32_t pad_id) {
  Batch batch;
  add_pads(batch, pad_multiple, pad_id);
  lay_out_positions(batch, {});
  return batch;
}

}  // namespace lmms::data
