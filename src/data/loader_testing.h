#pragma once
/// For the tests of the loader: made data, runs to their end, and what must be equal in two of
/// them.
#include <gtest/gtest.h>

#include <cstdint>
#include <memory>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "data/data_testing.h"
#include "data/loader.h"

namespace lmms::data {

inline std::vector<int64_t> random_lengths(int64_t rows, int64_t longest, uint32_t seed = 1) {
  std::mt19937 random(seed);
  std::vector<int64_t> lengths;
  for (int64_t i = 0; i < rows; ++i) {
    lengths.push_back(2 + static_cast<int64_t>(random() % static_cast<uint32_t>(longest - 1)));
  }
  return lengths;
}

inline PackingOptions packing(int64_t length, PackingStrategy strategy = PackingStrategy::first_fit,
                              int bins = 3) {
  return {.strategy = strategy, .length = length, .num_open_bins = bins};
}

inline Loader make_loader(std::shared_ptr<const Dataset> data, const LoaderOptions& options) {
  return {std::move(data), std::make_shared<MadeProcessor>(), options};
}

/// The steps that are left.
inline std::vector<StepBatch> run(Loader& loader) {
  std::vector<StepBatch> steps;
  while (auto step = loader.next()) steps.push_back(*std::move(step));
  return steps;
}

inline std::vector<StepBatch> run(const std::shared_ptr<const Dataset>& data,
                                  const LoaderOptions& options) {
  auto loader = make_loader(data, options);
  return run(loader);
}

/// Ids of the samples of a step, in order.
inline std::vector<int32_t> samples_of(const StepBatch& step) {
  std::vector<int32_t> ids;
  for (const auto& batch : step.micro_steps) {
    for (const auto& segment : batch.segments) {
      if (segment.sample >= 0) ids.push_back(batch.input_ids[static_cast<size_t>(segment.start)]);
    }
  }
  return ids;
}

inline void expect_equal(const Batch& a, const Batch& b) {
  EXPECT_EQ(a.input_ids, b.input_ids);
  EXPECT_EQ(a.labels, b.labels);
  EXPECT_EQ(a.weights, b.weights);
  EXPECT_EQ(a.position_ids, b.position_ids);
  EXPECT_EQ(a.segments, b.segments);
  EXPECT_EQ(a.media, b.media);
  EXPECT_EQ(a.extras, b.extras);
  EXPECT_EQ(a.counts, b.counts);
  EXPECT_EQ(a.rows, b.rows);
  EXPECT_EQ(a.samples, b.samples);
}

inline void expect_equal(const StepBatch& a, const StepBatch& b) {
  EXPECT_EQ(a.step, b.step);
  EXPECT_EQ(a.tokens, b.tokens);
  EXPECT_EQ(a.supervised_tokens, b.supervised_tokens);
  EXPECT_EQ(a.samples, b.samples);
  EXPECT_EQ(a.counts, b.counts);
  EXPECT_EQ(a.epoch, b.epoch);
  EXPECT_EQ(a.progress_before, b.progress_before);
  EXPECT_EQ(a.progress, b.progress);
  EXPECT_EQ(a.skipped.text(), b.skipped.text());
  EXPECT_EQ(a.state(), b.state());
  ASSERT_EQ(a.micro_steps.size(), b.micro_steps.size());
  for (size_t m = 0; m < a.micro_steps.size(); ++m)
    expect_equal(a.micro_steps[m], b.micro_steps[m]);
}

/// Every kind of run that determinism and resuming are tested on.
inline std::vector<LoaderOptions> kinds_of_runs() {
  std::vector<LoaderOptions> kinds;
  for (const auto strategy : {PackingStrategy::first_fit, PackingStrategy::best_fit,
                              PackingStrategy::balanced, PackingStrategy::sequential}) {
    kinds.push_back({.packing = packing(32, strategy), .policies = {}, .global_rows = 3});
  }
  kinds.push_back({.packing = {}, .policies = {}, .global_rows = 7});
  kinds.push_back(kinds.back());
  kinds.back().drop_last = true;
  kinds.push_back(kinds[0]);
  kinds.back().max_steps = 60;
  for (auto& kind : kinds) {
    kind.epochs = 2.5;
    kind.rows_per_micro_step = 2;
    kind.policies = {
        .on_bad_sample = OnBadSample::skip, .on_overlong = OnOverlong::drop, .max_length = 28};
    kind.pad_multiple = 16;
  }
  return kinds;
}

inline std::shared_ptr<const Dataset> rough_data() {
  auto lengths = random_lengths(60, 32);
  lengths[5] = -1;
  lengths[17] = 0;
  lengths[40] = 1;
  return made_dataset(lengths);
}

/// A row is a sample of a few tokens with an image of patches[r] patches.
inline std::shared_ptr<const Dataset> images_dataset(const std::vector<int64_t>& patches) {
  return dataset_of(static_cast<int64_t>(patches.size()), [patches](int64_t row) {
    return Result<nlohmann::json>(
        nlohmann::json{{"id", row}, {"length", 4}, {"patches", patches[static_cast<size_t>(row)]}});
  });
}

}  // namespace lmms::data
