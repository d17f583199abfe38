#pragma once
/// When evaluation, saves and rows of metrics are due.
#include <cstdint>
#include <optional>

#include "train/config.h"

namespace lmms::train {

struct EventIntervals {
  struct Interval {
    int64_t steps = 0;    ///< every so many; 0: not by steps
    bool epochs = false;  ///< at the end of each

    /// After `step`.
    bool is_due(int64_t step, bool epoch_ended) const {
      return (steps > 0 && step % steps == 0) || (epochs && epoch_ended);
    }
  };
  Interval log, save, evaluate;
  bool log_first = false;
};

/// From the config; shares of all steps need their number. Throws Error where it is not known.
EventIntervals event_intervals(const LoadedConfig& loaded, std::optional<int64_t> total_steps);

}  // namespace lmms::train
