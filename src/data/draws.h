#pragma once
/// What an objective draws for a sample: masks, times, noise, dropped conditions. The loader draws
/// where it makes the sample, so that every count that a step needs is known on the host.
#include <cstdint>
#include <string>

#include "core/rng.h"
#include "data/sample.h"

namespace lmms::data {

/// The random numbers of one sample: functions of (seed, purpose, ordinal, element) alone,
/// whichever rank or thread asks, and however often. An element counts from 0 for each purpose; one
/// that is never asked for costs nothing.
class DrawKey {
 public:
  /// `ordinal`: the sample's place in the order of samples (PackItem::ordinal), another one in
  /// every epoch.
  DrawKey(uint64_t seed, int64_t ordinal) : seed_(seed), ordinal_(static_cast<uint64_t>(ordinal)) {}
  /// In (0, 1], with 32 bits of resolution.
  double uniform(rng::Purpose purpose, int64_t element) const;
  /// Standard normal.
  double normal(rng::Purpose purpose, int64_t element) const;

 private:
  rng::Counter block(rng::Purpose purpose, uint64_t index) const;
  uint64_t seed_, ordinal_;
};

/// Pure and thread-safe: the same sample and key give the same bits.
class Drawing {
 public:
  virtual ~Drawing() = default;
  /// Says what is drawn, with every setting that changes it: a training does not go on under
  /// another.
  virtual std::string name() const = 0;
  /// Lays a sample out as it is trained, before it is measured: may change its length (pads behind
  /// an answer, a noised copy beside each block), its positions and its segments. Takes no random
  /// number. Media, if the sample has any, may lack their values.
  virtual void lay_out(Sample& sample) const { (void)sample; }
  /// Whether lay_out does anything: every sample is then made when it is measured.
  virtual bool lays_out() const { return false; }
  /// May change ids, labels and weights of the text, and extras, and add to the counts of its
  /// terms; the length stays. A sample may be drawn for twice, first without the values of its
  /// media (their grids are there): ids, labels, weights and counts must not depend on the values.
  virtual void draw(Sample& sample, const DrawKey& key) const = 0;
};

}  // namespace lmms::data
