#include "train/data_statistics.h"

#include <algorithm>
#include <bit>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <utility>

namespace lmms::train {
namespace {

// A sample of 2^40 tokens falls into the last of them.
constexpr size_t kMostBins = 80;

size_t bin_of(int64_t length) {
  const auto n = static_cast<uint64_t>(std::max<int64_t>(length, 1));
  if (n == 1) return 0;
  const auto octave = static_cast<size_t>(std::bit_width(n)) - 1;  // 2^octave <= n
  const bool upper = n >= uint64_t{3} << (octave - 1);
  return std::min(2 * octave - 1 + (upper ? 1 : 0), kMostBins - 1);
}

}  // namespace

int64_t LengthHistogram::edge(size_t bin) {
  if (bin == 0) return 1;
  const size_t octave = (bin + 1) / 2;
  return bin % 2 == 1 ? int64_t{1} << octave : int64_t{3} << (octave - 1);
}

void LengthHistogram::add(int64_t length) {
  const size_t bin = bin_of(length);
  if (bin >= counts_.size()) counts_.resize(bin + 1);
  ++counts_[bin];
}

void LengthHistogram::restore(std::vector<int64_t> counts) {
  if (counts.size() > kMostBins ||
      std::any_of(counts.begin(), counts.end(), [](int64_t n) { return n < 0; })) {
    throw std::invalid_argument("counts of lengths are none");
  }
  counts_ = std::move(counts);
}

void DataStatistics::add(const data::StepBatch& batch) {
  samples += batch.samples;
  tokens += batch.tokens;
  supervised_tokens += batch.supervised_tokens;
  for (const data::Batch& micro : batch.micro_steps) {
    int64_t length = 0;  // of a sample, all its segments
    for (size_t s = 0; s < micro.segments.size(); ++s) {
      const data::Segment& segment = micro.segments[s];
      if (segment.sample < 0) continue;
      length += segment.length;
      const bool last =
          s + 1 == micro.segments.size() || micro.segments[s + 1].sample != segment.sample;
      if (last) lengths.add(std::exchange(length, 0));
    }
  }
}

nlohmann::json to_json(const DataStatistics& statistics) {
  return {{"samples", statistics.samples},
          {"tokens", statistics.tokens},
          {"supervised_tokens", statistics.supervised_tokens},
          {"lengths", statistics.lengths.counts()}};
}

DataStatistics data_statistics_from(const nlohmann::json& json) {
  DataStatistics out;
  json.at("samples").get_to(out.samples);
  json.at("tokens").get_to(out.tokens);
  json.at("supervised_tokens").get_to(out.supervised_tokens);
  out.lengths.restore(json.at("lengths").get<std::vector<int64_t>>());
  return out;
}

}  // namespace lmms::train
