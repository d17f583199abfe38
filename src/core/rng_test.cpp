#include "core/rng.h"

#include <gtest/gtest.h>

#include <cmath>
#include <set>
#include <vector>

namespace lmms::rng {
namespace {

TEST(Philox, gives_the_known_answers_of_random123) {
  EXPECT_EQ(philox({0, 0, 0, 0}, {0, 0}),
            (Counter{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  const uint32_t ones = 0xffffffff;
  EXPECT_EQ(philox({ones, ones, ones, ones}, {ones, ones}),
            (Counter{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  EXPECT_EQ(philox({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}),
            (Counter{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

TEST(Key, differs_by_seed_in_all_64_bits_and_by_purpose) {
  std::set<Key> keys;
  for (uint64_t seed : {uint64_t{0}, uint64_t{1}, uint64_t{1} << 32, uint64_t{1} << 63}) {
    keys.insert(key(seed, Purpose::shuffle));
    keys.insert(key(seed, Purpose::initialisation));
  }
  EXPECT_EQ(keys.size(), 8u);
}

TEST(Hash, is_fnv_1a) {
  EXPECT_EQ(hash(""), 0xcbf29ce484222325u);
  EXPECT_EQ(hash("foobar"), 0x85944171f73967e8u);
}

TEST(NormalPair, has_mean_0_and_variance_1_and_is_finite_at_the_ends) {
  double sum = 0, squares = 0;
  constexpr uint32_t kDraws = 50000;
  for (uint32_t i = 0; i < kDraws; ++i) {
    const Counter word = philox({i, 0, 0, 0}, {1, 2});
    for (double x : normal_pair(word[0], word[1])) {
      sum += x;
      squares += x * x;
    }
  }
  EXPECT_NEAR(sum / (2 * kDraws), 0, 0.02);
  EXPECT_NEAR(squares / (2 * kDraws), 1, 0.02);
  for (uint32_t a : {0u, 0xffffffffu}) {
    for (double x : normal_pair(a, a)) EXPECT_TRUE(std::isfinite(x));
  }
}

TEST(Permutation, meets_every_element_once) {
  for (uint64_t n : {1, 2, 3, 4, 5, 17, 64, 1000, 4097}) {
    const Permutation permutation(n, {7, 8});
    std::vector<bool> seen(n);
    for (uint64_t i = 0; i < n; ++i) {
      const uint64_t to = permutation(i);
      ASSERT_LT(to, n);
      EXPECT_FALSE(seen[to]) << n;
      seen[to] = true;
    }
  }
}

TEST(Permutation, moves_nearly_all_elements_and_differs_by_key_and_tweak) {
  constexpr uint64_t kSize = 10000;
  const Permutation one(kSize, {7, 8}), key(kSize, {7, 9}), tweak(kSize, {7, 8}, 1);
  int fixed = 0, like_key = 0, like_tweak = 0;
  for (uint64_t i = 0; i < kSize; ++i) {
    fixed += one(i) == i;
    like_key += one(i) == key(i);
    like_tweak += one(i) == tweak(i);
  }
  for (int count : {fixed, like_key, like_tweak}) EXPECT_LT(count, 10);
}

TEST(Permutation, stays_inside_huge_sizes) {
  const uint64_t n = (uint64_t{1} << 62) + 12345;
  const Permutation permutation(n, {1, 2});
  for (uint64_t i : {uint64_t{0}, n / 2, n - 1}) EXPECT_LT(permutation(i), n);
}

}  // namespace
}  // namespace lmms::rng
