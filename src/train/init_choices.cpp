#include "train/init_choices.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <numeric>

#include "core/format.h"

namespace lmms::train {
namespace {

constexpr int64_t kShortestRow = 256;
constexpr int64_t kLongestRow = 65536;
constexpr double kLeastSteps = 20;  // of an epoch

int64_t power_of_two_above(int64_t n) {
  return static_cast<int64_t>(std::bit_ceil(static_cast<uint64_t>(std::max<int64_t>(n, 1))));
}

int64_t power_of_two_below(double n) {
  return static_cast<int64_t>(std::bit_floor(static_cast<uint64_t>(std::clamp(n, 1.0, 1e15))));
}

/// 1, 2 or 5 times a power of ten, at most n.
int64_t round_number(double n) {
  int64_t best = 1;
  for (int64_t power = 1; power <= n; power *= 10) {
    for (const int64_t digit : {1, 2, 5}) {
      if (static_cast<double>(digit * power) <= n) best = digit * power;
    }
  }
  return best;
}

}  // namespace

int64_t SampleLengths::at(double share) const {
  const auto last = static_cast<double>(sorted.size() - 1);
  return sorted[static_cast<size_t>(std::ceil(share * last))];
}

double SampleLengths::mean() const {
  const int64_t sum = std::accumulate(sorted.begin(), sorted.end(), int64_t{0});
  return static_cast<double>(sum) / static_cast<double>(sorted.size());
}

double SampleLengths::longer_than(int64_t limit) const {
  const auto first = std::upper_bound(sorted.begin(), sorted.end(), limit);
  return static_cast<double>(sorted.end() - first) / static_cast<double>(sorted.size());
}

RowChoice choose_rows(const SampleLengths& lengths, std::optional<int64_t> context,
                      int64_t wanted) {
  const int64_t limit = std::min(context.value_or(kLongestRow), kLongestRow);
  const auto room_for = [&](int64_t length) {
    return std::max(kShortestRow, power_of_two_above(std::min(length, limit)));
  };
  RowChoice choice;
  choice.least = room_for(lengths.at(0.99));
  const int64_t of_steps = power_of_two_below(lengths.tokens() / kLeastSteps);
  choice.length = std::clamp(of_steps, kShortestRow, std::max(kShortestRow, wanted));
  choice.length = std::max(choice.length, room_for(lengths.longest()));
  choice.packing = 2 * std::min(lengths.at(0.5), limit) <= choice.length;
  if (choice.packing ? limit < std::min(choice.length, lengths.longest()) : true)
    choice.max_length = choice.packing ? limit : std::min(limit, choice.length);
  return choice;
}

RowChoice choose_text_rows(const SampleLengths& lengths, std::optional<int64_t> context,
                           int64_t wanted) {
  const auto limit = static_cast<double>(std::min(context.value_or(wanted), wanted));
  const int64_t most = power_of_two_below(limit);
  const int64_t least = std::min(kShortestRow, most);
  return {.packing = true,
          .length = std::clamp(power_of_two_below(lengths.tokens() / kLeastSteps), least, most),
          .least = least,
          .max_length = std::nullopt};
}

double choose_learning_rate(int64_t parameters, bool from_scratch) {
  struct Rate {
    double parameters, tuning, scratch;
  };
  // A model of few parameters is a toy or was trained for little: it takes larger steps.
  static constexpr Rate rates[] = {{20e6, 1e-3, 2e-3},
                                   {200e6, 1e-4, 6e-4},
                                   {1.5e9, 2e-5, 3e-4},
                                   {15e9, 1e-5, 1.2e-4},
                                   {1e15, 5e-6, 6e-5}};
  const auto* rate = std::begin(rates);
  while (rate->parameters < static_cast<double>(parameters) && rate + 1 != std::end(rates)) ++rate;
  return from_scratch ? rate->scratch : rate->tuning;
}

std::string short_count(int64_t parameters) {
  const auto n = static_cast<double>(parameters);
  if (n >= 9.95e8) return fmt::format("{:.1f} B", n / 1e9);
  if (n >= 9.95e6) return fmt::format("{:.0f} M", n / 1e6);
  if (n >= 9.995e5) return fmt::format("{:.1f} M", n / 1e6);
  return fmt::format("{:.0f} k", std::max(1.0, n / 1e3));
}

Cadence choose_cadence(double tokens, double tokens_a_step, bool plain_text) {
  constexpr double kFew = 1e6, kSome = 2e7;  // tokens
  Cadence cadence;
  cadence.epochs = plain_text ? 1 : tokens < kFew ? 3 : tokens < kSome ? 2 : 1;
  const double steps =
      std::ceil(tokens * static_cast<double>(cadence.epochs) / std::max(1.0, tokens_a_step));
  cadence.steps = static_cast<int64_t>(std::clamp(steps, 1.0, 1e12));
  constexpr double kShort = 200;  // a save takes as long as some steps
  cadence.save_steps = std::clamp<int64_t>(round_number(steps / (steps < kShort ? 2 : 4)), 1, 500);
  cadence.eval_steps = std::clamp<int64_t>(round_number(steps / 8), 1, 500);
  cadence.logging_steps = steps > 5000 ? 10 : 1;
  cadence.warmup_ratio = steps < 300 ? 0.1 : 0.03;
  return cadence;
}

}  // namespace lmms::train
