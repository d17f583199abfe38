#include "data/collate.h"

#include <algorithm>
#include <numeric>

namespace lmms::data {
namespace {

template <class T>
void append(std::vector<T>& to, const std::vector<T>& from) {
  to.insert(to.end(), from.begin(), from.end());
}

void append_text(Batch& batch, const Sample& sample, int32_t pad_id) {
  const auto length = static_cast<size_t>(sample.length());
  const TextPart& text = sample.text;
  append(batch.input_ids, text.input_ids);
  batch.input_ids.resize(batch.input_ids.size() + length - text.input_ids.size(), pad_id);
  for (size_t t = 0; t < length; ++t) {
    const int32_t label = t < text.labels.size() ? text.labels[t] : kIgnore;
    const float given = text.weights.empty() ? 1.0f : text.weights[t];
    const float weight = label == kIgnore ? 0.0f : given;
    batch.labels.push_back(weight != 0 ? label : 0);
    batch.weights.push_back(weight);
    batch.supervised_tokens += weight != 0;
  }
}

void append_segments(Batch& batch, const Sample& sample, int32_t start) {
  const auto index = static_cast<int32_t>(batch.samples++);
  if (sample.segments.empty()) {
    batch.segments.push_back(
        {.start = start, .length = static_cast<int32_t>(sample.length()), .sample = index});
  }
  for (const SampleSegment& segment : sample.segments) {
    batch.segments.push_back({.start = start,
                              .length = segment.length,
                              .mode = segment.mode,
                              .sample = index,
                              .role = segment.role});
    start += segment.length;
  }
}

void append(Batch& batch, const Sample& sample, int32_t pad_id) {
  const auto start = static_cast<int32_t>(batch.tokens());
  append_text(batch, sample, pad_id);
  for (const MediaPart& part : sample.media) {
    if (part.grids.empty()) continue;  // no tower has work by it
    PackedMedia& media = batch.media[part.kind];
    append(media.values, part.values);
    append(media.grids, part.grids);
    append(media.layouts, part.layouts);
    for (const int32_t t : part.tokens) media.rows.push_back(int64_t{start} + t);
  }
  for (const auto& [name, values] : sample.extras) {
    RaggedExtra& extra = batch.extras[name];
    extra.lengths.resize(static_cast<size_t>(batch.samples));  // samples before it without any
    extra.lengths.push_back(static_cast<int64_t>(values.size()));
    append(extra.values, values);
  }
  for (const auto& [term, count] : sample.counts) batch.counts[term] += count;
  append_segments(batch, sample, start);
}

/// Appends a segment of pads. It has the mode of the one before it: where all segments have one
/// mode, a fused kernel takes them.
void add_pads(Batch& batch, int64_t missing, int32_t pad_id) {
  if (missing == 0) return;
  const AttentionMode mode =
      batch.segments.empty() ? AttentionMode::causal : batch.segments.back().mode;
  batch.segments.push_back({.start = static_cast<int32_t>(batch.tokens()),
                            .length = static_cast<int32_t>(missing),
                            .mode = mode,
                            .sample = -1});
  for (int64_t t = 0; t < missing; ++t) {
    batch.input_ids.push_back(pad_id);
    batch.labels.push_back(0);
    batch.weights.push_back(0.0f);
  }
}

/// How many axes a sample states positions of; 0: none.
size_t axes_of(const Sample& sample) {
  return sample.text.position_ids.size() / std::max<size_t>(1, sample.text.input_ids.size());
}

/// Positions of every sample: one axis if that is all that any has.
void fill_positions(Batch& batch, std::span<const RowSamples> rows) {
  std::vector<const Sample*> samples;
  bool three_axes = false;
  for (const auto& row : rows) {
    for (const auto& sample : row) {
      samples.push_back(sample.get());
      three_axes = three_axes || axes_of(*sample) == 3;
    }
  }
  const size_t T = batch.input_ids.size();
  batch.position_ids.resize(three_axes ? 3 * T : T);
  for (size_t axis = 0; axis < (three_axes ? 3 : 1); ++axis) {
    int32_t* out = batch.position_ids.data() + axis * T;
    int32_t* const end = out + T;
    for (const Sample* sample : samples) {
      const auto length = static_cast<size_t>(sample->length());
      if (sample->text.position_ids.empty()) {
        std::iota(out, out + length, 0);
      } else {
        const size_t stated = axes_of(*sample) == 3 ? axis : 0;
        std::copy_n(sample->text.position_ids.data() + stated * length, length, out);
      }
      out += length;
    }
    std::iota(out, end, 0);  // the pad
  }
}

void reserve(Batch& batch, std::span<const RowSamples> rows, int64_t pad_multiple) {
  int64_t tokens = 0;
  std::map<std::string, size_t> values;
  for (const auto& row : rows) {
    for (const auto& sample : row) {
      tokens += sample->length();
      for (const MediaPart& part : sample->media)
        if (!part.grids.empty()) values[part.kind] += part.values.size();
    }
  }
  for (const auto& [kind, count] : values) batch.media[kind].values.reserve(count);
  const auto capacity = static_cast<size_t>(tokens + pad_multiple);
  batch.input_ids.reserve(capacity);
  batch.labels.reserve(capacity);
  batch.weights.reserve(capacity);
}

}  // namespace

Batch collate(std::span<const RowSamples> rows, int64_t pad_multiple, int32_t pad_id) {
  Batch batch;
  reserve(batch, rows, pad_multiple);
  for (const auto& row : rows) {
    batch.rows += !row.empty();
    for (const auto& sample : row) append(batch, *sample, pad_id);
  }
  for (auto& [name, extra] : batch.extras) extra.lengths.resize(static_cast<size_t>(batch.samples));
  batch.valid_tokens = batch.tokens();
  add_pads(batch, (pad_multiple - batch.tokens() % pad_multiple) % pad_multiple, pad_id);
  fill_positions(batch, rows);
  return batch;
}

Batch dummy_batch(int64_t pad_multiple, int32_t pad_id) {
  Batch batch;
  add_pads(batch, pad_multiple, pad_id);
  fill_positions(batch, {});
  return batch;
}

}  // namespace lmms::data
