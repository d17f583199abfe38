#pragma once
/// One record from its place in the order to a sample, under the policies.
#include <cstdint>
#include <memory>
#include <optional>

#include "core/error.h"
#include "data/cost.h"
#include "data/dataset.h"
#include "data/packer.h"
#include "data/policy.h"
#include "data/processor.h"

namespace lmms::data {

/// What became of a record.
struct Outcome {
  std::optional<PackItem> item;          ///< to be trained; absent: skipped, for `reason`
  std::shared_ptr<const Sample> sample;  ///< of the item, where measuring had to make it
  SkipReason reason = SkipReason::bad;
  Fault fault;             ///< why it was skipped, or that it was cut
  bool fatal = false;      ///< a policy wants the run to end with `fault`
  bool truncated = false;  ///< trained, but cut
};

/// What the policies make of a record, wherever it was read. Thread-safe.
class SampleJudge {
 public:
  SampleJudge(std::shared_ptr<const Processor> processor, const Policies& policies,
              const CostModel& costs = {})
      : processor_(std::move(processor)), policies_(policies), costs_(costs) {}

  /// Measures a record, or says what becomes of one that could not be read. `ordinal`: of the item.
  Outcome measure(const Result<Record>& record, int64_t ordinal) const;
  /// Makes the sample of a measured item again. Throws Error if the record has changed since.
  std::shared_ptr<const Sample> make(const Record& record, const PackItem& item) const;

 private:
  Outcome bad(Fault fault) const;
  /// What becomes of a sample that is beyond a limit, unless the policy lets it be cut.
  std::optional<Outcome> overlong(Fault fault) const;
  /// Cuts a sample that is too long, where the policy says so; else says what becomes of it.
  std::optional<Outcome> limit_length(Measured& measured, const Origin& origin) const;
  std::optional<Outcome> limit_patches(int64_t patches, const Origin& origin) const;

  std::shared_ptr<const Processor> processor_;
  Policies policies_;
  CostModel costs_;
};

/// Samples of a data set by their place in its order. Thread-safe; results depend on the ordinal
/// alone.
class SampleReader {
 public:
  SampleReader(std::shared_ptr<const Dataset> dataset, std::shared_ptr<const Processor> processor,
               const Policies& policies, const CostModel& costs = {})
      : dataset_(std::move(dataset)), judge_(std::move(processor), policies, costs) {}

  /// Reads and measures the sample at an ordinal: epoch * rows_per_epoch + position.
  Outcome measure(int64_t ordinal) const { return judge_.measure(record(ordinal), ordinal); }
  /// Makes the sample of a measured item again. Throws Error if the record has changed since.
  std::shared_ptr<const Sample> make(const PackItem& item) const {
    return judge_.make(record(item.ordinal).take(), item);
  }

 private:
  Result<Record> record(int64_t ordinal) const;

  std::shared_ptr<const Dataset> dataset_;
  SampleJudge judge_;
};

}  // namespace lmms::data
