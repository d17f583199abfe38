#pragma once
/// Where a training stands in its data: small, plain, and enough to go on without reading again.
#include <cstdint>
#include <deque>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "core/error.h"
#include "data/loader.h"
#include "data/packer.h"
#include "data/policy.h"

namespace lmms::data {

/// One lane: how many of its samples were read, and those that wait for their row.
struct LaneState {
  int64_t read = 0;
  std::deque<Bin> open;    ///< oldest first
  std::deque<Bin> closed;  ///< rows that later steps will take, next first

  bool operator==(const LaneState&) const = default;
};

/// The position after a step.
struct LoaderSnapshot {
  std::shared_ptr<const nlohmann::json> order;  ///< order_of() of the run
  int64_t step = 0;                             ///< steps done
  int64_t settled = 0;                          ///< samples trained or skipped
  std::vector<LaneState> lanes;                 ///< [L] with packing, else empty
  SkipCounts skipped;

  std::string text() const;
  /// Reads text(). Faults: not such a text, or one that belongs to another order than `order`; then
  /// every difference is named.
  static Result<LoaderSnapshot> parse(const std::string& text,
                                      std::shared_ptr<const nlohmann::json> order);
};

/// Everything that the order of training depends on, apart from the rows themselves.
nlohmann::json order_of(const Dataset& dataset, const LoaderOptions& options);

}  // namespace lmms::data
