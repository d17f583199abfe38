#pragma once
/// What of a config decides on memory, chosen by rehearsals on the device that is to train it.
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "train/config.h"
#include "train/config_draft.h"
#include "train/init_choices.h"
#include "train/place.h"

namespace lmms::train {

/// Tokens of a row that keep a device busy, where the data have so many.
inline constexpr int64_t kGpuRow = 16384, kCpuRow = 1024;

struct MemorySetting {
  bool on_cpu = false;
  bool bf16 = true;
  GradientCheckpointing checkpointing = GradientCheckpointing::automatic;
  bool masters = true;

  void write(ConfigDraft& draft) const;
};

struct MemoryChoice {
  RowChoice rows;
  MemorySetting setting;
  int64_t parameters = 0;
  double tokens_per_second = 0;
  std::string card;  ///< "h100", or the CPU's model name
  std::string text;  ///< "21.3 GiB of 74.9 GiB on h100; nothing is run again in backward"

  /// ", 3 hours on h100 by the plan"
  std::string time_text(double tokens) const;
};

/// The config of the run with these rows and this setting.
using TriedConfig =
    std::function<LoadedConfig(const RowChoice& rows, const MemorySetting& setting)>;

/// The fastest of rows of `rows.length` and shorter ones, down to what nearly all samples need,
/// that fits. `card`: as for train::make_plan, "cpu" or a GPU. Throws Error where nothing fits.
MemoryChoice choose_memory(const RowChoice& rows, const std::string& card, const Place& place,
                           const TriedConfig& config);

}  // namespace lmms::train
