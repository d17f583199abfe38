#include "data/planner.h"

#include <algorithm>
#include <cmath>
#include <deque>
#include <limits>

#include "core/format.h"

namespace lmms::data {
namespace {

/// Rounded up; products that miss a whole number by rounding alone (100 x 1.1) count as whole.
int64_t ceil_of(double value) {
  return static_cast<int64_t>(std::ceil(value * (1.0 - 1e-12)));
}

int64_t div_up(int64_t a, int64_t b) {
  return (a + b - 1) / b;
}

/// Counts what is skipped, and ends a run that skips everything, if it is to end then.
class Account {
 public:
  Account(int64_t rows_per_epoch, const LoaderOptions& options)
      : most_in_a_row_(options.end_if_all_skipped ? rows_per_epoch
                                                  : std::numeric_limits<int64_t>::max()) {}

  /// The item to train, or nullopt. Throws Error if the outcome is fatal.
  std::optional<PackItem> settle(const Outcome& outcome, SkipCounts& counts) {
    if (outcome.fatal) throw Error(outcome.fault, outcome.exit);
    if (outcome.truncated) counts.truncated.add(outcome.fault);
    if (outcome.item) {
      skipped_in_a_row_ = 0;
      return outcome.item;
    }
    counts.of(outcome.reason).add(outcome.fault);
    if (++skipped_in_a_row_ >= most_in_a_row_) {
      throw Error("dataset_config",
                  fmt::format("{} records in a row, as many as an epoch has, cannot be trained. {}",
                              skipped_in_a_row_, counts.text()),
                  "look at the first examples named above");
    }
    return std::nullopt;
  }

 private:
  int64_t most_in_a_row_;
  int64_t skipped_in_a_row_ = 0;
};

/// A row is a sample: step k of an epoch takes the samples kL..kL+L-1 of its order.
class UnpackedPlanner final : public Planner {
 public:
  UnpackedPlanner(int64_t rows_per_epoch, const LoaderOptions& options, LoaderSnapshot from,
                  Measure measure, int64_t window)
      : rows_(rows_per_epoch),
        lanes_(options.global_rows),
        drop_last_(options.drop_last),
        extent_(extent_of(rows_per_epoch, options)),
        state_(std::move(from)),
        measure_(std::move(measure)),
        window_(static_cast<size_t>(window)),
        account_(rows_per_epoch, options),
        next_step_(state_.step),
        next_position_(first_position(next_step_)) {}

  std::optional<StepPlan> next() override {
    const int64_t total = *extent_.total_steps;
    if (state_.step >= total) return std::nullopt;
    StepPlan plan;
    plan.progress_before = static_cast<double>(state_.step) / static_cast<double>(total);
    const int64_t begin = first_position(state_.step), end = end_position(state_.step);
    for (int64_t position = begin; position < end; ++position) {
      measure_ahead();
      const Outcome outcome = ahead_.front().get();
      ahead_.pop_front();
      Bin row;
      if (auto item = account_.settle(outcome, state_.skipped)) row.add(*item);
      plan.rows.push_back(std::move(row));
    }
    const bool last_of_epoch = (state_.step + 1) % extent_.steps_per_epoch == 0;
    const int64_t epoch_start = state_.step / extent_.steps_per_epoch * rows_;
    state_.settled = epoch_start + (last_of_epoch && drop_last_ ? rows_ : end);
    ++state_.step;
    plan.epoch = static_cast<double>(state_.settled) / static_cast<double>(rows_);
    plan.progress = static_cast<double>(state_.step) / static_cast<double>(total);
    plan.after = std::make_shared<const LoaderSnapshot>(state_);
    return plan;
  }

 private:
  int64_t first_position(int64_t step) const { return step % extent_.steps_per_epoch * lanes_; }
  int64_t end_position(int64_t step) const {
    return std::min(first_position(step) + lanes_, rows_);
  }

  void measure_ahead() {
    while (ahead_.size() < window_ && next_step_ < *extent_.total_steps) {
      const int64_t epoch_start = next_step_ / extent_.steps_per_epoch * rows_;
      ahead_.push_back(
          measure_(epoch_start + next_position_, next_position_ - first_position(next_step_)));
      if (++next_position_ == end_position(next_step_)) {
        next_position_ = first_position(++next_step_);
      }
    }
  }

  int64_t rows_, lanes_;
  bool drop_last_;
  Extent extent_;
  LoaderSnapshot state_;
  Measure measure_;
  size_t window_;
  Account account_;
  std::deque<std::future<Outcome>> ahead_;
  int64_t next_step_;      ///< to be measured next
  int64_t next_position_;  ///< in its epoch
};

/// Every lane packs its own samples; a step takes one row of each.
class PackedPlanner final : public Planner {
 public:
  PackedPlanner(int64_t rows_per_epoch, const LoaderOptions& options, LoaderSnapshot from,
                Measure measure, int64_t window)
      : rows_(rows_per_epoch),
        drop_last_(options.drop_last),
        extent_(extent_of(rows_per_epoch, options)),
        state_(std::move(from)),
        measure_(std::move(measure)),
        window_(window),
        account_(rows_per_epoch, options) {
    state_.lanes.resize(static_cast<size_t>(options.global_rows));
    for (int64_t l = 0; l < options.global_rows; ++l) {
      auto& saved = state_.lanes[static_cast<size_t>(l)];
      Lane lane{.index = l,
                .packer = Packer(*options.packing),
                .closed = std::move(saved.closed),
                .read = saved.read,
                .ahead = {}};
      lane.packer.restore(std::move(saved.open));
      lanes_.push_back(std::move(lane));
    }
  }

  std::optional<StepPlan> next() override {
    if (extent_.total_steps && state_.step >= *extent_.total_steps) return std::nullopt;
    StepPlan plan;
    plan.progress_before = progress();
    plan.rows = take_rows();
    const bool whole = plan.rows.size() == lanes_.size();
    if (plan.rows.empty() || (!whole && drop_last_)) {
      if (state_.step == 0) {
        throw Error("trainer_args.dataloader_drop_last",
                    fmt::format("all data together makes {} packed rows, a step needs {}",
                                plan.rows.size(), lanes_.size()),
                    "set it to false, or lower the rows of a step (per_device_train_batch_size, "
                    "gradient_accumulation_steps) or dataset_config.packing_length");
      }
      return std::nullopt;
    }
    for (const auto& row : plan.rows) state_.settled += static_cast<int64_t>(row.items.size());
    ++state_.step;
    plan.epoch = static_cast<double>(state_.settled) / static_cast<double>(rows_);
    plan.progress = progress();
    plan.after = snapshot();
    return plan;
  }

 private:
  struct Lane {
    int64_t index = 0;
    Packer packer;
    std::deque<Bin> closed;
    int64_t read = 0;
    std::deque<std::future<Outcome>> ahead;
  };

  double progress() const {
    if (extent_.total_steps) {
      return static_cast<double>(state_.step) / static_cast<double>(*extent_.total_steps);
    }
    return static_cast<double>(state_.settled) / static_cast<double>(*extent_.total_samples);
  }

  int64_t ordinal(const Lane& lane, int64_t n) const {
    return lane.index + n * static_cast<int64_t>(lanes_.size());
  }
  bool in_training(int64_t ordinal) const {
    return !extent_.total_samples || ordinal < *extent_.total_samples;
  }
  bool has_samples(const Lane& lane) const { return in_training(ordinal(lane, lane.read)); }

  /// One row of every lane, in the order of lanes. At the end of training some lanes have none
  /// left: then the others give more, so that only the last step of all is smaller.
  std::vector<Bin> take_rows() {
    std::vector<Bin> rows;
    while (rows.size() < lanes_.size()) {
      prepare_rows();
      const size_t before = rows.size();
      for (auto& lane : lanes_) {
        if (lane.closed.empty() || rows.size() == lanes_.size()) continue;
        rows.push_back(std::move(lane.closed.front()));
        lane.closed.pop_front();
      }
      if (rows.size() == before) break;
    }
    return rows;
  }

  /// Brings every lane to a closed row, or to its end. Lanes advance by one sample in turn, so that
  /// samples of many lanes are measured at once.
  void prepare_rows() {
    std::vector<Lane*> waiting;
    for (;;) {
      waiting.clear();
      for (auto& lane : lanes_) {
        if (!lane.closed.empty()) continue;
        if (has_samples(lane)) {
          waiting.push_back(&lane);
        } else if (auto bin = lane.packer.flush_one()) {
          lane.closed.push_back(*std::move(bin));
        }
      }
      if (waiting.empty()) return;
      const auto depth =
          static_cast<size_t>(std::max<int64_t>(1, window_ / static_cast<int64_t>(waiting.size())));
      for (auto* lane : waiting) measure_ahead(*lane, depth);
      for (auto* lane : waiting) read_one(*lane);
    }
  }

  void measure_ahead(Lane& lane, size_t depth) {
    while (lane.ahead.size() < depth) {
      const int64_t next = ordinal(lane, lane.read + static_cast<int64_t>(lane.ahead.size()));
      if (!in_training(next)) return;
      lane.ahead.push_back(measure_(next, lane.index));
    }
  }

  void read_one(Lane& lane) {
    const Outcome outcome = lane.ahead.front().get();
    lane.ahead.pop_front();
    ++lane.read;
    const auto item = account_.settle(outcome, state_.skipped);
    if (!item) {
      ++state_.settled;
      return;
    }
    for (auto& bin : lane.packer.add(*item)) lane.closed.push_back(std::move(bin));
  }

  std::shared_ptr<const LoaderSnapshot> snapshot() const {
    auto copy = std::make_shared<LoaderSnapshot>(state_);
    for (size_t l = 0; l < lanes_.size(); ++l) {
      copy->lanes[l] = {lanes_[l].read, lanes_[l].packer.open_bins(), lanes_[l].closed};
    }
    return copy;
  }

  int64_t rows_;
  bool drop_last_;
  Extent extent_;
  LoaderSnapshot state_;  ///< its lanes are kept in lanes_
  Measure measure_;
  int64_t window_;
  Account account_;
  std::deque<Lane> lanes_;
};

}  // namespace

Extent extent_of(int64_t rows_per_epoch, const LoaderOptions& options) {
  const int64_t lanes = options.global_rows;
  if (lanes < 1 || options.rows_per_micro_step < 1) {
    throw Error("trainer_args", "a step needs at least one row", "");
  }
  if (options.packing && (options.packing->length < 1 || options.packing->num_open_bins < 1)) {
    throw Error("dataset_config", "packing needs a packing_length and num_open_bins of at least 1",
                "");
  }
  constexpr int64_t kMostTokens = std::numeric_limits<int32_t>::max();  // Segment counts in int32
  if (options.packing && options.packing->length > kMostTokens / options.rows_per_micro_step) {
    throw Error("dataset_config.packing_length",
                fmt::format("{} rows of {} tokens in one micro-step: more than {} tokens",
                            options.rows_per_micro_step, options.packing->length, kMostTokens),
                "lower packing_length or per_device_train_batch_size");
  }
  if (options.max_steps <= 0 && !(options.epochs > 0 && options.epochs < 1e9)) {
    throw Error("trainer_args.num_train_epochs",
                fmt::format("{}: expected a number above 0", options.epochs),
                "give num_train_epochs, or max_steps above 0");
  }
  Extent extent;
  extent.steps_per_epoch =
      options.drop_last ? rows_per_epoch / lanes : div_up(rows_per_epoch, lanes);
  if (!options.packing && extent.steps_per_epoch == 0) {
    throw Error("trainer_args.dataloader_drop_last",
                fmt::format("an epoch has {} rows, a step needs {}", rows_per_epoch, lanes),
                "set it to false, or lower the rows of a step (per_device_train_batch_size, "
                "gradient_accumulation_steps)");
  }
  if (options.max_steps > 0) {
    extent.total_steps = options.max_steps;
  } else if (options.packing) {
    extent.total_samples = ceil_of(static_cast<double>(rows_per_epoch) * options.epochs);
  } else {
    extent.total_steps = ceil_of(static_cast<double>(extent.steps_per_epoch) * options.epochs);
  }
  return extent;
}

std::unique_ptr<Planner> make_planner(int64_t rows_per_epoch, const LoaderOptions& options,
                                      LoaderSnapshot from, Planner::Measure measure,
                                      int64_t window) {
  if (options.packing) {
    return std::make_unique<PackedPlanner>(rows_per_epoch, options, std::move(from),
                                           std::move(measure), window);
  }
  return std::make_unique<UnpackedPlanner>(rows_per_epoch, options, std::move(from),
                                           std::move(measure), window);
}

}  // namespace lmms::data
