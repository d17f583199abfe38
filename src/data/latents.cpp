#include "data/latents.h"

#include <algorithm>
#include <numeric>

#include "data/draws.h"

namespace lmms::data {
namespace {

/// Calls move(place in planes, place in tokens) for every value.
template <class Move>
void each_value(int64_t channels, int64_t height, int64_t width, int64_t patch, Move move) {
  const int64_t columns = width / patch, W = channels * patch * patch;
  for (int64_t c = 0; c < channels; ++c) {
    for (int64_t y = 0; y < height; ++y) {
      for (int64_t x = 0; x < width; ++x) {
        const int64_t token = (y / patch) * columns + x / patch;
        const int64_t inside = (c * patch + y % patch) * patch + x % patch;
        move(static_cast<size_t>((c * height + y) * width + x),
             static_cast<size_t>(token * W + inside));
      }
    }
  }
}

}  // namespace

void take_choice(Sample& sample, const DrawKey& key, bool flip) {
  const auto mean = sample.extras.find(kMean);
  if (mean == sample.extras.end()) return;
  for (MediaPart& part : sample.media) {
    if (part.kind != kLatents && part.kind != kPixels) continue;
    const auto deviation = sample.extras.find(kDeviation);
    const std::vector<float>& means = mean->second;
    // Versions are as many as there are; a latent is never longer than its mean.
    const auto versions = static_cast<size_t>(sample.extras.at(kVersions).front());
    const size_t V = means.size() / versions;
    const bool other = versions > 1 && flip && key.uniform(rng::Purpose::augmentation, 0) > 0.5;
    const size_t chosen = other ? 1 : 0;
    part.values.assign(means.begin() + static_cast<std::ptrdiff_t>(chosen * V),
                       means.begin() + static_cast<std::ptrdiff_t>((chosen + 1) * V));
    if (deviation == sample.extras.end()) continue;
    for (size_t i = 0; i < V; ++i) {
      part.values[i] += static_cast<float>(deviation->second[chosen * V + i] *
                                           key.normal(rng::Purpose::posterior, int64_t(i)));
    }
  }
  sample.extras.erase(kMean);
  sample.extras.erase(kDeviation);
  sample.extras.erase(kVersions);
}

std::vector<float> to_tokens(std::span<const float> planes, int64_t channels, int64_t height,
                             int64_t width, int64_t patch) {
  std::vector<float> out(planes.size());
  each_value(channels, height, width, patch,
             [&](size_t plane, size_t token) { out[token] = planes[plane]; });
  return out;
}

std::vector<float> to_planes(std::span<const float> tokens, int64_t channels, int64_t height,
                             int64_t width, int64_t patch) {
  std::vector<float> out(tokens.size());
  each_value(channels, height, width, patch,
             [&](size_t plane, size_t token) { out[plane] = tokens[token]; });
  return out;
}

std::vector<float> mirrored(std::span<const float> planes, int64_t width) {
  std::vector<float> out(planes.begin(), planes.end());
  for (auto row = out.begin(); row != out.end(); row += width) std::reverse(row, row + width);
  return out;
}

Sample latent_sample(const char* kind, PatchGrid grid, int64_t tokens, int64_t class_id) {
  Sample sample;
  MediaPart& part = sample.media[kind];
  part.grids = {grid};
  part.tokens.resize(static_cast<size_t>(tokens));
  std::iota(part.tokens.begin(), part.tokens.end(), 0);
  sample.segments = {{.length = static_cast<int32_t>(tokens), .mode = AttentionMode::full}};
  if (class_id >= 0) sample.extras[kClass] = {static_cast<float>(class_id)};
  return sample;
}

}  // namespace lmms::data
