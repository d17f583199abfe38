#include "train/data_statistics.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <numeric>

namespace lmms::train {
namespace {

TEST(LengthHistogram, puts_every_length_between_the_edges_of_its_bin) {
  EXPECT_EQ(LengthHistogram::edge(0), 1);
  for (size_t bin = 0; bin < 40; ++bin)
    EXPECT_LT(LengthHistogram::edge(bin), LengthHistogram::edge(bin + 1));
  for (const int64_t length : {1,  2,  3,  4,  5,  6,    7,    8,    11,   12,    13,
                               15, 16, 17, 23, 24, 1000, 1024, 1535, 1536, 32767, 32768}) {
    LengthHistogram histogram;
    histogram.add(length);
    const size_t bin = histogram.counts().size() - 1;
    EXPECT_LE(LengthHistogram::edge(bin), length);
    EXPECT_GT(LengthHistogram::edge(bin + 1), length);
  }
}

TEST(DataStatistics, counts_samples_and_not_the_pad) {
  data::StepBatch batch;
  batch.samples = 2;
  batch.tokens = 9;
  batch.supervised_tokens = 4;
  data::Batch micro;
  micro.segments = {{0, 5, AttentionMode::causal, 0, 0},
                    {5, 4, AttentionMode::causal, 1, 0},
                    {9, 7, AttentionMode::causal, -1, 0}};
  batch.micro_steps = {micro};
  DataStatistics statistics;
  statistics.add(batch);
  statistics.add(batch);
  EXPECT_EQ(statistics.samples, 4);
  EXPECT_EQ(statistics.tokens, 18);
  EXPECT_EQ(statistics.supervised_tokens, 8);
  const auto& counts = statistics.lengths.counts();
  EXPECT_EQ(std::accumulate(counts.begin(), counts.end(), int64_t{0}), 4);
  EXPECT_EQ(data_statistics_from(to_json(statistics)), statistics);
}

TEST(DataStatistics, of_a_damaged_state_are_refused) {
  nlohmann::json good = to_json(DataStatistics{});
  for (const auto& [key, value] : good.items()) {
    nlohmann::json bad = good;
    bad.erase(key);
    EXPECT_THROW(data_statistics_from(bad), std::exception);
    bad[key] = "x";
    EXPECT_THROW(data_statistics_from(bad), std::exception);
  }
  good["lengths"] = {-1};
  EXPECT_THROW(data_statistics_from(good), std::exception);
}

}  // namespace
}  // namespace lmms::train
