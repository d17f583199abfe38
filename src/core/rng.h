#pragma once
/// Our own random numbers: Philox4x32-10 (Salmon et al. 2011, "Parallel random numbers: as easy as
/// 1, 2, 3"), a pure function of key and counter, so that a draw depends on what it is for and
/// never on who made how many draws before it.
#include <array>
#include <cstdint>
#include <string_view>

namespace lmms::rng {

using Counter = std::array<uint32_t, 4>;
using Key = std::array<uint32_t, 2>;

constexpr Counter philox(Counter c, Key k) {
  for (int round = 0; round < 10; ++round) {
    const uint64_t a = uint64_t{0xD2511F53u} * c[0];
    const uint64_t b = uint64_t{0xCD9E8D57u} * c[2];
    c = {static_cast<uint32_t>(b >> 32) ^ c[1] ^ k[0], static_cast<uint32_t>(b),
         static_cast<uint32_t>(a >> 32) ^ c[3] ^ k[1], static_cast<uint32_t>(a)};
    k = {k[0] + 0x9E3779B9u, k[1] + 0xBB67AE85u};
  }
  return c;
}

/// What a draw is for; each purpose is a stream of its own under one seed.
enum class Purpose : uint32_t {
  initialisation = 1,
  shuffle = 2,
  mixture = 3,
  corruption = 4,
  sampling = 5,
  rounding = 6,
  time = 7,
  noise = 8,
  condition = 9,
  augmentation = 10,
  posterior = 11
};

constexpr Key key(uint64_t seed, Purpose purpose) {
  return {static_cast<uint32_t>(seed) ^ static_cast<uint32_t>(seed >> 32) * 0x85EBCA6Bu,
          static_cast<uint32_t>(purpose)};
}

/// 64-bit FNV-1a: names to counters (initialisation is keyed by the parameter's name).
constexpr uint64_t hash(std::string_view text) {
  uint64_t h = 0xcbf29ce484222325u;
  for (unsigned char c : text) h = (h ^ c) * 0x100000001b3u;
  return h;
}

/// (0, 1], 32 bits of resolution.
constexpr double unit(uint32_t bits) {
  return (static_cast<double>(bits) + 1.0) * 0x1p-32;
}

/// Two independent standard normal numbers from two words (Box and Muller 1958).
std::array<double, 2> normal_pair(uint32_t a, uint32_t b);

/// A bijection of [0, n) that depends on the key alone: a Feistel network over the next even power
/// of two, walked until it falls inside (Black and Rogaway 2002, "Ciphers with arbitrary finite
/// domains"). O(1) memory, about two rounds of walking.
class Permutation {
 public:
  Permutation(uint64_t n, Key key, uint64_t tweak = 0);
  uint64_t size() const { return n_; }
  /// The element at position i < n.
  uint64_t operator()(uint64_t i) const;

 private:
  uint64_t n_;
  Key key_;
  uint64_t tweak_;
  int half_bits_;
};

}  // namespace lmms::rng
