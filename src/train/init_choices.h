#pragma once
/// The numbers that `lmms init` chooses for a config, as functions of what was measured.
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace lmms::train {

/// Lengths of samples in tokens.
struct SampleLengths {
  std::vector<int64_t> sorted;  ///< of those that were measured, ascending, at least one
  int64_t rows = 0;             ///< of an epoch

  int64_t at(double share) const;  ///< 0.5: the median
  int64_t longest() const { return sorted.back(); }
  double mean() const;
  /// Of an epoch, estimated.
  double tokens() const { return mean() * static_cast<double>(rows); }
  /// Share of the samples that are longer than `limit`.
  double longer_than(int64_t limit) const;
};

struct RowChoice {
  bool packing = true;
  int64_t length = 0;  ///< tokens of a row: a power of two
  int64_t least = 0;   ///< rows as long as 99 % of the samples need
  /// Longest sample, where it is not the row that limits it: the model's context.
  std::optional<int64_t> max_length;
};

/// `wanted`: tokens of a row that the device computes well with. `context`: the most positions that
/// the model knows; nullopt: unknown. Rows are no longer than what leaves an epoch a score of
/// steps, and no shorter than the longest sample wants, as long as the context has it.
RowChoice choose_rows(const SampleLengths& lengths, std::optional<int64_t> context, int64_t wanted);
/// The same for plain texts, which are cut at the row's length: no row is longer than the context.
RowChoice choose_text_rows(const SampleLengths& lengths, std::optional<int64_t> context,
                           int64_t wanted);

/// The peak learning rate: of fine-tuning, or of random weights (Brown et al. 2020, table 2.1).
double choose_learning_rate(int64_t parameters, bool from_scratch);

struct Cadence {
  int64_t epochs = 1;
  int64_t steps = 1;  ///< of all epochs, estimated
  int64_t save_steps = 500, eval_steps = 100, logging_steps = 1;
  double warmup_ratio = 0.03;
};

/// "596 M", "7.6 B".
std::string short_count(int64_t parameters);

/// How long is trained, and how often it is saved and evaluated. `tokens`: of an epoch.
Cadence choose_cadence(double tokens, double tokens_a_step, bool plain_text);

}  // namespace lmms::train
