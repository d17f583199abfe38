#include "data/draws.h"

namespace lmms::data {

rng::Counter DrawKey::block(rng::Purpose purpose, uint64_t index) const {
  return rng::philox({static_cast<uint32_t>(ordinal_), static_cast<uint32_t>(ordinal_ >> 32),
                      static_cast<uint32_t>(index), static_cast<uint32_t>(index >> 32)},
                     rng::key(seed_, purpose));
}

double DrawKey::uniform(rng::Purpose purpose, int64_t element) const {
  const auto n = static_cast<uint64_t>(element);
  return rng::unit(block(purpose, n / 4)[n % 4]);
}

double DrawKey::normal(rng::Purpose purpose, int64_t element) const {
  const auto n = static_cast<uint64_t>(element);
  const rng::Counter words = block(purpose, n / 4);
  const size_t first = n % 4 / 2 * 2;
  return rng::normal_pair(words[first], words[first + 1])[n % 2];
}

}  // namespace lmms::data
