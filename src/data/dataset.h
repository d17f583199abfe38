#pragma once
/// Sources with weights, and the order in which training meets their rows.
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "core/error.h"
#include "data/config.h"
#include "data/source.h"

namespace lmms::data {

/// The format of a source: its data_type, else what its suffix or its folder tells. Faults: an
/// unknown name, or nothing that tells.
Result<Format> format_of(const SourceConfig& config);

struct DatasetOptions {
  std::vector<SourceConfig> sources;
  bool shuffle = true;
  uint64_t seed = 42;
  SourceLimits limits;                               ///< memory_bytes: of all sources together
  config::Value extra_kwargs{config::Value::Map{}};  ///< a map: arguments of the dataset_type
};

/// A row of one source.
struct Place {
  int32_t source = 0;
  int64_t row = 0;
};

/// For the start-up table.
struct SourceSummary {
  std::string path;
  std::string format;
  std::string data_folder{};
  double weight = 1.0;
  int64_t rows = 0;               ///< in the files
  int64_t samples_per_epoch = 0;  ///< round(weight * rows)
};

/// The order is arithmetic: place() is a pure function of (rows, weights, seed, epoch, position),
/// O(1) and without memory of earlier calls.
///
/// An epoch holds round(weight * rows) samples of every source, shuffled together. Which rows those
/// are: each source is an endless sequence of whole permutations of its rows, and every epoch takes
/// the next round(weight * rows) of them. So weight 2 shows each row twice an epoch, weight 0.5 one
/// half in even epochs and the other half in odd ones. Without shuffle, sources follow one another
/// and each goes through its rows in file order, going on in the next epoch where it stopped.
class Dataset {
 public:
  /// Opens every source. Faults: a source that does not open, no rows at all, a weight below 0, or
  /// so small that the source would contribute nothing.
  static Result<std::shared_ptr<Dataset>> open(const DatasetOptions& options);

  struct Part {
    SourceSummary summary;
    std::unique_ptr<RecordSource> source;
  };
  Dataset(std::vector<Part> parts, bool shuffle, uint64_t seed);

  /// Samples of one epoch, before any are dropped.
  int64_t rows_per_epoch() const { return rows_per_epoch_; }
  const std::vector<SourceSummary>& sources() const { return summaries_; }
  bool shuffle() const { return shuffle_; }
  uint64_t seed() const { return seed_; }

  /// The row at `position` < rows_per_epoch() of an epoch.
  Place place(int64_t epoch, int64_t position) const;
  Result<Record> read(const Place& place) const;

  /// What each source reads; of one that contributes no sample, nothing.
  std::vector<std::vector<SourceFile>> files() const;

 private:
  struct Opened {
    std::unique_ptr<RecordSource> source;
    std::shared_ptr<const std::string> data_folder;
    int64_t first = 0;  ///< of this source's samples in the unshuffled epoch
  };
  std::vector<Opened> parts_;
  std::vector<SourceSummary> summaries_;
  bool shuffle_;
  uint64_t seed_;
  int64_t rows_per_epoch_ = 0;
};

}  // namespace lmms::data
