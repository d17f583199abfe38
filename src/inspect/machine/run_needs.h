#pragma once
/// What a run takes of a machine, as its config says.
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

#include "core/error.h"
#include "step/network_size.h"

namespace lmms::inspect {

/// What the first records of the data came to.
struct DataCheck {
  std::string text;     ///< "tokenizer t; 2 sources, the first record of each read"
  std::string trouble;  ///< of a record that would end the run; empty: none of those read
};

struct RunNeeds {
  std::string model;  ///< "qwen3 from checkpoints/Qwen3-0.6B"
  bool use_cpu = false, bf16 = false;
  step::NetworkSize network;
  int64_t model_bytes = 0;         ///< the files of the final model
  int64_t checkpoint_bytes = 0;    ///< one checkpoint-N
  bool saves = true;               ///< checkpoints during the run
  std::optional<int64_t> to_save;  ///< checkpoints that the run will write, where that is known
  std::optional<int64_t> save_total_limit;
  int64_t already_saved = 0;  ///< checkpoints that are in the output folder now
  DataCheck data;
};

/// A config on this machine: what its run takes, or why it cannot begin.
struct RunCheck {
  std::optional<RunNeeds> needs;       ///< absent: no config, or one that cannot be read that far
  std::filesystem::path output = ".";  ///< the run's folder
  std::string faults;                  ///< what `lmms train` would say; empty: nothing
  Exit exit = Exit::done;              ///< how it would end by them
};

}  // namespace lmms::inspect
