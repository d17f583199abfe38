#pragma once
/// Samples into rows of bounded length, online, for one lane.
#include <cstdint>
#include <deque>
#include <optional>
#include <vector>

#include "core/media_kinds.h"
#include "data/config.h"
#include "data/sample.h"

namespace lmms::data {

/// Where a sample goes among the open bins that have room for it:
///   first_fit   the oldest
///   best_fit    the one that it fills best (ties: the oldest)
///   balanced    the oldest; and when nothing has room, all waiting samples are dealt to the bins
///               anew, the costliest first, each to the bin of least cost that has room: rows that
///               take equal time
///   sequential  there is one open bin, and rows keep the order of samples; what the Python project
///               calls `first_fit`
struct PackingOptions {
  PackingStrategy strategy = PackingStrategy::first_fit;
  int64_t length = 32000;  ///< tokens of a row at most
  int num_open_bins = 8;   ///< of one lane; `sequential` has one
  MediaCounts media{};     ///< patches of a row at most, of kinds that have a limit
};

/// A sample in a row: its place in the order of samples and what was measured of it; never the
/// sample itself.
struct PackItem {
  int64_t ordinal = 0;  ///< epoch * rows_per_epoch + position
  int64_t length = 0;
  int64_t supervised = 0;
  int64_t cost = 0;     ///< CostModel::cost
  MediaCounts media{};  ///< patches of the kinds that it has
  TermCounts counts{};  ///< Sample::counts

  bool operator==(const PackItem&) const = default;
};

/// A row that is still open, or has just been closed.
struct Bin {
  std::vector<PackItem> items;
  int64_t length = 0;
  int64_t cost = 0;
  MediaCounts media{};
  void add(PackItem item);

  bool operator==(const Bin&) const = default;
};

/// Rows come out when their bin closes. A bin closes when a sample fills its tokens exactly
/// (nothing could join it), or when a sample fits nowhere and all bins are open: then the fullest,
/// by tokens or the patches of a kind, whichever is nearer to its limit
/// (ties: the oldest; balanced: of the bins within 1/64 of the fullest the one whose sample waits
/// longest). Deterministic: the same items give the same rows. O(num_open_bins) an item; balanced
/// sorts the items of the open bins for each row.
class Packer {
 public:
  explicit Packer(const PackingOptions& options) : options_(options) {}
  /// Adds an item that fits a row by itself, 0 < length; returns the rows that closed.
  std::vector<Bin> add(PackItem item);
  /// Closes the oldest open bin; nullopt when none is open.
  std::optional<Bin> flush_one();

  /// Open bins, oldest first: the whole state.
  const std::deque<Bin>& open_bins() const { return open_; }
  void restore(std::deque<Bin> bins) { open_ = std::move(bins); }

 private:
  bool fits(const Bin& bin, const PackItem& item) const;
  int64_t fill(const Bin& bin) const;
  size_t most_open() const;
  void place(PackItem item, std::vector<Bin>& closed);
  void redistribute(PackItem item, std::vector<Bin>& closed);
  void close(std::deque<Bin>::iterator bin, std::vector<Bin>& closed);
  void close_fullest(std::vector<Bin>& closed);
  void close_oldest_full(std::vector<Bin>& closed);

  PackingOptions options_;
  std::deque<Bin> open_;
};

}  // namespace lmms::data
