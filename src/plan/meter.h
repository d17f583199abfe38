#pragma once
/// Counts what a computation on meta tensors would take on a GPU: bytes of its tensors, and the
/// time of its kernels by simple laws of their sizes.
#include <cstdint>
#include <memory>

#include "plan/card.h"

namespace lmms::plan {

/// Seconds by kind of kernel.
struct Seconds {
  double products = 0, attention = 0, passes = 0;
  double launches = 0;  ///< what lies between kernels

  double total() const { return products + attention + passes + launches; }
  Seconds operator+(const Seconds& b) const {
    return {products + b.products, attention + b.attention, passes + b.passes,
            launches + b.launches};
  }
  Seconds operator-(const Seconds& b) const {
    return {products - b.products, attention - b.attention, passes - b.passes,
            launches - b.launches};
  }
};

/// While it lives, everything that this thread does with meta tensors is counted: their bytes by an
/// allocator of the meta device (nothing is allocated), calls of ATen by its observers, our own
/// kernels by what they tell (kernels/work.h). One at a time in the process.
class Meter {
 public:
  explicit Meter(const Card& card);
  ~Meter();
  Meter(const Meter&) = delete;
  Meter& operator=(const Meter&) = delete;

  /// Bytes of the meta tensors that are alive, each rounded up as the caching allocator does.
  int64_t live_bytes() const;
  /// The most that were alive since the start or the last reset.
  int64_t peak_bytes() const;
  void reset_peak();
  /// What kernels took since the start or the last reset.
  Seconds seconds() const;
  void reset_seconds();

 private:
  class Counter;
  std::unique_ptr<Counter> counter_;
};

}  // namespace lmms::plan
