#include "core/rng.h"

#include <bit>
#include <cmath>
#include <numbers>

namespace lmms::rng {

std::array<double, 2> normal_pair(uint32_t a, uint32_t b) {
  const double radius = std::sqrt(-2.0 * std::log(unit(a)));
  const double angle = 2.0 * std::numbers::pi * unit(b);
  return {radius * std::cos(angle), radius * std::sin(angle)};
}

Permutation::Permutation(uint64_t n, Key key, uint64_t tweak) : n_(n), key_(key), tweak_(tweak) {
  const int bits = n <= 2 ? 2 : std::bit_width(n - 1);
  half_bits_ = (bits + 1) / 2;
}

uint64_t Permutation::operator()(uint64_t i) const {
  const uint64_t mask = (uint64_t{1} << half_bits_) - 1;
  do {
    uint64_t left = i >> half_bits_, right = i & mask;
    for (uint32_t round = 0; round < 6; ++round) {
      const Counter word =
          philox({static_cast<uint32_t>(right), static_cast<uint32_t>(right >> 32) ^ round << 24,
                  static_cast<uint32_t>(tweak_), static_cast<uint32_t>(tweak_ >> 32)},
                 key_);
      const uint64_t mixed = left ^ ((uint64_t{word[1]} << 32 | word[0]) & mask);
      left = right;
      right = mixed;
    }
    i = left << half_bits_ | right;
  } while (i >= n_);
  return i;
}

}  // namespace lmms::rng
