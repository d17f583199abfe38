#pragma once
/// What a run takes of a machine, from its config alone: no weights are read, no memory is taken.
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

#include "train/config.h"
#include "train/model_setup.h"

namespace lmms::train {

/// What a look at the first records of the data found.
struct DataLook {
  std::string text;     ///< "tokenizer t; 2 sources, the first record of each read"
  std::string trouble;  ///< of a record that would end the run; empty: none of those seen
};

struct RunNeeds {
  std::string model;  ///< "qwen3 from checkpoints/Qwen3-0.6B"
  bool use_cpu = false, bf16 = false;
  int64_t trained = 0, frozen = 0;  ///< parameters
  /// Bytes on the device, without activations. Masters are 0 where the weights themselves are fp32.
  int64_t weights = 0, masters = 0, gradients = 0, moments = 0, averages = 0;
  int64_t model_bytes = 0;         ///< the files of the final model
  int64_t checkpoint_bytes = 0;    ///< one checkpoint-N
  bool saves = true;               ///< checkpoints during the run
  std::optional<int64_t> to_save;  ///< checkpoints that the run will write, where that is known
  std::optional<int64_t> save_total_limit;
  int64_t already_saved = 0;  ///< checkpoints that are in the output folder now
  std::filesystem::path output;
  DataLook data;  ///< left empty by run_needs

  int64_t device_bytes() const { return weights + masters + gradients + moments + averages; }
};

/// Makes the model's structure, freezes, and looks at the checkpoint's list of tensors. Throws
/// Error as `lmms train` would.
RunNeeds run_needs(const LoadedConfig& loaded, const Place& place);

/// Bytes of memory and disk for a table of parameters; `micro_steps`: of a step.
RunNeeds needs_of(const nn::ParamTable& params, const TrainerArgs& args, int64_t micro_steps);

}  // namespace lmms::train
