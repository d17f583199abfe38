#include "data/packer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <functional>
#include <map>
#include <random>

#include "data/cost.h"

namespace lmms::data {
namespace {

using testing::ElementsAre;

PackItem item(int64_t ordinal, int64_t length) {
  return {.ordinal = ordinal, .length = length, .supervised = length, .cost = length * length};
}

/// Rows in the order in which they close, the flushed ones last.
std::vector<Bin> pack(const PackingOptions& options, const std::vector<int64_t>& lengths) {
  Packer packer(options);
  std::vector<Bin> rows;
  for (size_t i = 0; i < lengths.size(); ++i) {
    for (auto& bin : packer.add(item(static_cast<int64_t>(i), lengths[i]))) rows.push_back(bin);
  }
  while (auto bin = packer.flush_one()) rows.push_back(*bin);
  return rows;
}

std::vector<std::vector<int64_t>> lengths_of(const std::vector<Bin>& rows) {
  std::vector<std::vector<int64_t>> result;
  for (const auto& row : rows) {
    auto& lengths = result.emplace_back();
    for (const auto& one : row.items) lengths.push_back(one.length);
  }
  return result;
}

std::vector<std::vector<int64_t>> pack_lengths(PackingStrategy strategy, int bins,
                                               const std::vector<int64_t>& lengths) {
  return lengths_of(pack({.strategy = strategy, .length = 10, .num_open_bins = bins}, lengths));
}

using Row = std::vector<int64_t>;

TEST(Packer, first_fit_takes_the_oldest_bin_with_room) {
  EXPECT_THAT(pack_lengths(PackingStrategy::first_fit, 2, {6, 7, 2, 3}),
              ElementsAre(Row{7, 3}, Row{6, 2}));
}

TEST(Packer, best_fit_takes_the_bin_that_is_filled_best) {
  EXPECT_THAT(pack_lengths(PackingStrategy::best_fit, 2, {6, 7, 2, 3}),
              ElementsAre(Row{6, 3}, Row{7, 2}));
  EXPECT_THAT(pack_lengths(PackingStrategy::best_fit, 2, {6, 6, 3}),
              ElementsAre(Row{6, 3}, Row{6}));  // ties: the oldest
}

TEST(Packer, balanced_deals_waiting_samples_anew_when_nothing_has_room) {
  // First {6, 4} would close; dealt anew, the two costly ones part.
  EXPECT_THAT(pack_lengths(PackingStrategy::balanced, 2, {5, 4, 6, 3, 2}),
              ElementsAre(Row{5, 4}, Row{6, 3}, Row{2}));
}

TEST(Packer, sequential_keeps_the_order_of_samples) {
  EXPECT_THAT(pack_lengths(PackingStrategy::sequential, 8, {6, 5, 4, 1, 9, 10, 2}),
              ElementsAre(Row{6}, Row{5, 4, 1}, Row{9}, Row{10}, Row{2}));
}

TEST(Packer, closes_the_fullest_bin_when_nothing_has_room) {
  EXPECT_THAT(pack_lengths(PackingStrategy::first_fit, 2, {6, 8, 9, 5}),
              ElementsAre(Row{8}, Row{9}, Row{6}, Row{5}));
  // Ties: the oldest.
  Packer packer({.strategy = PackingStrategy::first_fit, .length = 10, .num_open_bins = 2});
  packer.add(item(0, 8));
  packer.add(item(1, 8));
  const auto closed = packer.add(item(2, 3));
  ASSERT_EQ(closed.size(), 1u);
  EXPECT_EQ(closed[0].items[0].ordinal, 0);
}

TEST(Packer, closes_a_full_bin_at_once) {
  Packer packer({.strategy = PackingStrategy::first_fit, .length = 10, .num_open_bins = 2});
  EXPECT_TRUE(packer.add(item(0, 4)).empty());
  EXPECT_EQ(packer.add(item(1, 6)).size(), 1u);
  EXPECT_EQ(packer.add(item(2, 10)).size(), 1u);
  EXPECT_TRUE(packer.open_bins().empty());
}

/// The rule of the header, written as a search over all choices instead of a scan.
class BruteForce {
 public:
  BruteForce(PackingStrategy strategy, int64_t length, size_t bins)
      : strategy_(strategy), length_(length), bins_(bins) {}

  std::vector<Bin> add(const PackItem& one) {
    std::vector<Bin> closed;
    std::map<std::pair<int64_t, size_t>, size_t> homes;  // (rank, age) -> bin
    for (size_t b = 0; b < open_.size(); ++b) {
      const int64_t after = open_[b].length + one.length;
      if (after > length_) continue;
      int64_t rank = 0;
      if (strategy_ == PackingStrategy::best_fit) rank = length_ - after;
      homes[{rank, b}] = b;
    }
    size_t home = open_.size();
    if (!homes.empty()) {
      home = homes.begin()->second;
    } else if (open_.size() == bins_) {
      std::map<std::pair<int64_t, size_t>, size_t> fullest;
      for (size_t b = 0; b < open_.size(); ++b) fullest[{-open_[b].length, b}] = b;
      const auto out = static_cast<int64_t>(fullest.begin()->second);
      closed.push_back(open_[static_cast<size_t>(out)]);
      open_.erase(open_.begin() + out);
      home = open_.size();
    }
    if (home == open_.size()) open_.emplace_back();
    open_[home].add(one);
    if (open_[home].length == length_) {
      closed.push_back(open_[home]);
      open_.erase(open_.begin() + static_cast<int64_t>(home));
    }
    return closed;
  }

 private:
  PackingStrategy strategy_;
  int64_t length_;
  size_t bins_;
  std::vector<Bin> open_;
};

class EveryStrategy : public testing::TestWithParam<PackingStrategy> {};

TEST_P(EveryStrategy, keeps_to_its_rule_and_loses_nothing) {
  std::mt19937 random(3);
  for (int round = 0; round < 100; ++round) {
    const int64_t length = 1 + static_cast<int64_t>(random() % 50);
    const int bins = 1 + static_cast<int>(random() % 9);
    const bool sequential = GetParam() == PackingStrategy::sequential;
    Packer packer({.strategy = GetParam(), .length = length, .num_open_bins = bins});
    BruteForce expected(GetParam(), length, sequential ? 1 : static_cast<size_t>(bins));
    std::map<int64_t, int> seen;
    const auto check = [&](const Bin& bin) {
      int64_t sum = 0;
      for (const auto& one : bin.items) {
        sum += one.length;
        ++seen[one.ordinal];
      }
      EXPECT_EQ(sum, bin.length);
      EXPECT_LE(sum, length);
      EXPECT_FALSE(bin.items.empty());
    };
    for (int64_t i = 0; i < 200; ++i) {
      const auto one = item(i, 1 + static_cast<int64_t>(random() % static_cast<uint32_t>(length)));
      const auto closed = packer.add(one);
      if (GetParam() != PackingStrategy::balanced) {
        EXPECT_EQ(closed, expected.add(one));
      }
      for (const auto& bin : closed) check(bin);
      EXPECT_LE(packer.open_bins().size(), sequential ? 1u : static_cast<size_t>(bins));
    }
    while (auto bin = packer.flush_one()) check(*bin);
    EXPECT_EQ(seen.size(), 200u);
    for (const auto& [ordinal, count] : seen) EXPECT_EQ(count, 1) << ordinal;
  }
}

TEST_P(EveryStrategy, goes_on_from_restored_bins_as_if_uninterrupted) {
  std::mt19937 random(5);
  const PackingOptions options{.strategy = GetParam(), .length = 32, .num_open_bins = 4};
  Packer whole(options);
  auto restarted = std::make_unique<Packer>(options);
  for (int64_t i = 0; i < 300; ++i) {
    const auto one = item(i, 1 + static_cast<int64_t>(random() % 32));
    EXPECT_EQ(whole.add(one), restarted->add(one));
    auto next = std::make_unique<Packer>(options);
    next->restore(restarted->open_bins());
    restarted = std::move(next);
  }
}

INSTANTIATE_TEST_SUITE_P(Strategies, EveryStrategy,
                         testing::Values(PackingStrategy::first_fit, PackingStrategy::best_fit,
                                         PackingStrategy::balanced, PackingStrategy::sequential));

TEST_P(EveryStrategy, keeps_both_limits_and_loses_nothing) {
  std::mt19937 random(7);
  const auto below = [&](int64_t n) {
    return static_cast<int64_t>(random() % static_cast<uint32_t>(n));
  };
  for (int round = 0; round < 100; ++round) {
    const PackingOptions options{.strategy = GetParam(),
                                 .length = 1 + below(60),
                                 .num_open_bins = 1 + static_cast<int>(below(9)),
                                 .media = {{kVision, 1 + below(90)}}};
    const int64_t patches = options.media.of(kVision).patches;
    Packer packer(options);
    std::map<int64_t, int> seen;
    const auto check = [&](const Bin& bin) {
      Bin sum;
      for (const auto& one : bin.items) {
        sum.add(one);
        ++seen[one.ordinal];
      }
      EXPECT_EQ(sum, bin);
      EXPECT_LE(bin.length, options.length);
      EXPECT_LE(bin.media.of(kVision).patches, patches);
      EXPECT_FALSE(bin.items.empty());
    };
    for (int64_t i = 0; i < 200; ++i) {
      auto one = item(i, 1 + below(options.length));
      if (below(3) > 0) one.media[kVision].patches = below(patches + 1);
      for (const auto& bin : packer.add(one)) check(bin);
      EXPECT_LE(packer.open_bins().size(), static_cast<size_t>(options.num_open_bins));
    }
    while (auto bin = packer.flush_one()) check(*bin);
    EXPECT_EQ(seen.size(), 200u);
    for (const auto& [ordinal, count] : seen) EXPECT_EQ(count, 1) << ordinal;
  }
}

TEST_P(EveryStrategy, makes_the_same_rows_under_a_limit_of_patches_that_nothing_reaches) {
  std::mt19937 random(8);
  Packer without({.strategy = GetParam(), .length = 40, .num_open_bins = 4});
  Packer with(
      {.strategy = GetParam(), .length = 40, .num_open_bins = 4, .media = {{kVision, 1 << 30}}});
  for (int64_t i = 0; i < 300; ++i) {
    auto one = item(i, 1 + static_cast<int64_t>(random() % 40));
    one.media[kVision].patches = static_cast<int64_t>(random() % 50);
    EXPECT_EQ(without.add(one), with.add(one));
  }
}

TEST(Packer, closes_the_bin_that_is_nearest_to_either_limit) {
  Packer packer({.length = 100, .num_open_bins = 2, .media = {{kVision, 1000}}});
  packer.add(item(0, 50));
  PackItem large = item(1, 60);
  large.media[kVision].patches = 900;
  packer.add(large);
  // no bin has room; the second is at 90 % of its patches, more than the first of anything
  PackItem next = item(2, 60);
  next.media[kVision].patches = 200;
  const auto closed = packer.add(next);
  ASSERT_EQ(closed.size(), 1u);
  EXPECT_EQ(closed[0].items[0].ordinal, 1);
}

struct Quality {
  double fill = 0;           ///< share of the rows' tokens that hold samples
  double spread = 0;         ///< standard deviation of the rows' cost over its mean
  int64_t longest_wait = 0;  ///< of a sample for its row, in samples read after it
};

using Draw = std::function<PackItem(std::mt19937&, int64_t ordinal)>;

/// Chats: median 400 tokens, long tail.
PackItem chat(std::mt19937& random, int64_t ordinal) {
  std::lognormal_distribution<double> length(6.0, 1.0);
  return item(ordinal, std::clamp<int64_t>(static_cast<int64_t>(length(random)), 1, 8192));
}

/// Half of the chats have one to four images of 0.1 to 2 megapixels; the cost is that of a model of
/// Qwen2.5-VL-3B's shape.
PackItem chat_with_images(std::mt19937& random, int64_t ordinal) {
  static const CostModel kCosts{
      .token = 16.6e6, .pair = 0.44e3, .target = 1.87e6, .media = {{kVision, 4.0e6, 0.062e3}}};
  PackItem out = chat(random, ordinal);
  std::vector<PatchGrid> grids(random() % 2 == 0 ? 0 : 1 + random() % 4);
  for (PatchGrid& grid : grids) {
    std::uniform_real_distribution<double> megapixels(0.1, 2.0);
    grid.h = grid.w = 2 * static_cast<int64_t>(std::sqrt(megapixels(random) * 1e6) / 28);
    out.media[kVision].patches += grid.patches();
    out.length += grid.tokens(2);
  }
  out.supervised = out.length / 4;
  out.cost = kCosts.cost(out.length, out.supervised, {{kVision, grids}});
  return out;
}

Quality quality_of(PackingStrategy strategy, const Draw& draw = chat, int64_t patches = 0) {
  constexpr int64_t kLength = 32768;
  std::mt19937 random(9);
  PackingOptions options{.strategy = strategy, .length = kLength, .num_open_bins = 8};
  if (patches > 0) options.media[kVision].patches = patches;
  Packer packer(options);
  Quality quality;
  double rows = 0, tokens = 0, cost = 0, square = 0;
  for (int64_t i = 0; i < 20000; ++i) {
    for (const auto& row : packer.add(draw(random, i))) {
      const auto c = static_cast<double>(row.cost);
      rows += 1;
      tokens += static_cast<double>(row.length);
      cost += c;
      square += c * c;
      for (const auto& one : row.items) {
        quality.longest_wait = std::max(quality.longest_wait, i - one.ordinal);
      }
    }
  }
  quality.fill = tokens / (kLength * rows);
  quality.spread = std::sqrt(square * rows - cost * cost) / cost;
  return quality;
}

TEST(Packer, fills_rows_well_and_balanced_evens_their_cost) {
  const auto sequential = quality_of(PackingStrategy::sequential);
  const auto first = quality_of(PackingStrategy::first_fit);
  const auto best = quality_of(PackingStrategy::best_fit);
  const auto balanced = quality_of(PackingStrategy::balanced);
  EXPECT_GT(first.fill, 0.995);
  EXPECT_GT(best.fill, 0.995);
  EXPECT_GT(balanced.fill, 0.995);
  EXPECT_LT(sequential.fill, first.fill);
  EXPECT_LT(balanced.spread, 0.4 * first.spread);
  for (const auto& quality : {first, best, balanced}) EXPECT_LT(quality.longest_wait, 5000);
}

TEST(Packer, balanced_evens_the_cost_of_rows_with_images) {
  for (const int64_t patches : {int64_t{0}, int64_t{65536}}) {
    const auto first = quality_of(PackingStrategy::first_fit, chat_with_images, patches);
    const auto balanced = quality_of(PackingStrategy::balanced, chat_with_images, patches);
    std::printf("patches %ld: spread of cost %.2f %% first_fit, %.2f %% balanced; fill %.3f %.3f\n",
                static_cast<long>(patches), 100 * first.spread, 100 * balanced.spread, first.fill,
                balanced.fill);
    EXPECT_LT(balanced.spread, 0.5 * first.spread);
    EXPECT_GT(balanced.fill, 0.97 * first.fill);
    EXPECT_LT(balanced.longest_wait, 5000);
  }
}

}  // namespace
}  // namespace lmms::data
