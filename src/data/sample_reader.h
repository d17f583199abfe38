#pragma once
/// One record from its place in the order to a sample, under the policies.
#include <cstdint>
#include <memory>
#include <optional>

#include "core/error.h"
#include "data/cost.h"
#include "data/dataset.h"
#include "data/draws.h"
#include "data/packer.h"
#include "data/policy.h"
#include "data/processor.h"

namespace lmms::data {

/// What became of a record.
struct Outcome {
  std::optional<PackItem> item;          ///< to be trained; absent: skipped, for `reason`
  std::shared_ptr<const Sample> sample;  ///< of the item, where measuring had to make it
  SkipReason reason = SkipReason::bad;
  Fault fault;         ///< why it was skipped, or that it was cut
  bool fatal = false;  ///< the run ends with `fault`: a policy wants it, or measuring failed
  Exit exit = Exit::bad_input;  ///< of a fatal one
  bool truncated = false;       ///< trained, but cut
};

/// What an objective draws, and from which seed.
struct SeededDrawing {
  std::shared_ptr<const Drawing> drawing{};  ///< null: nothing is drawn
  uint64_t seed = 0;
};

/// What the policies make of a record, wherever it was read. Thread-safe.
class SampleFactory {
 public:
  SampleFactory(std::shared_ptr<const Processor> processor, const Policies& policies,
                const CostModel& costs = {}, SeededDrawing draws = {})
      : processor_(std::move(processor)),
        policies_(policies),
        costs_(costs),
        draws_(std::move(draws)) {}

  /// Measures a record, or says what becomes of one that could not be read. `ordinal`: of the item.
  Outcome measure(const Result<Record>& record, int64_t ordinal) const;
  /// Makes the sample of a measured item again. Throws Error if the record has changed since.
  std::shared_ptr<const Sample> make(const Record& record, const PackItem& item) const;

 private:
  Outcome bad(Fault fault) const;
  /// What becomes of a sample that is beyond a limit, unless the policy lets it be cut.
  std::optional<Outcome> overlong(Fault fault) const;
  bool lays_out() const { return draws_.drawing && draws_.drawing->lays_out(); }
  void lay_out(Sample& sample) const;
  /// Lays the measured sample out. A fault where it can't be made.
  std::optional<Fault> lay_out(Measured& measured, const Record& record) const;
  /// The longest beginning of a sample that is within the limit once it is laid out, laid out.
  Sample fitted(Sample sample) const;
  /// Cuts a sample that is too long, where the policy says so; else says what becomes of it.
  /// `whole`: the sample before it was laid out; null where it is not made yet.
  std::optional<Outcome> limit_length(Measured& measured,
                                      const std::shared_ptr<const Sample>& whole,
                                      const Origin& origin) const;
  /// Says what becomes of a sample whose media are beyond a limit.
  std::optional<Outcome> limit_media(const Measured& measured, const Origin& origin) const;
  /// Draws for the measured sample. A fault where it can't be made.
  std::optional<Fault> draw(Measured& measured, const Record& record, int64_t ordinal) const;
  void draw(Sample& sample, int64_t ordinal) const;

  std::shared_ptr<const Processor> processor_;
  Policies policies_;
  CostModel costs_;
  SeededDrawing draws_;
};

/// Samples of a data set by their place in its order. Thread-safe; results depend on the ordinal
/// alone.
class SampleReader {
 public:
  SampleReader(std::shared_ptr<const Dataset> dataset, std::shared_ptr<const Processor> processor,
               const Policies& policies, const CostModel& costs = {}, SeededDrawing draws = {})
      : dataset_(std::move(dataset)),
        factory_(std::move(processor), policies, costs, std::move(draws)) {}

  /// Reads and measures the sample at an ordinal: epoch * rows_per_epoch + position.
  Outcome measure(int64_t ordinal) const { return factory_.measure(record(ordinal), ordinal); }
  /// Makes the sample of a measured item again. Throws Error if the record has changed since.
  std::shared_ptr<const Sample> make(const PackItem& item) const {
    return factory_.make(record(item.ordinal).take(), item);
  }

 private:
  Result<Record> record(int64_t ordinal) const;

  std::shared_ptr<const Dataset> dataset_;
  SampleFactory factory_;
};

}  // namespace lmms::data
