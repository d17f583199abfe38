#pragma once
/// Answers to the prompts of eval_generate, at an evaluation.
#include <c10/core/Device.h>

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "models/model.h"
#include "train/config.h"
#include "train/data_setup.h"
#include "train/generation/prompting.h"

namespace lmms::train {

struct Answer {
  std::string prompt, text;
  int64_t tokens = 0;
  bool finished = false;  ///< the model ended it, not max_new_tokens
};

/// The prompting that a run's config means.
Prompting prompting_of(const LoadedConfig& loaded, const RunProcessor& processing,
                       const models::Model& model);

/// Nothing if `stop` became true, which is asked before every token.
std::optional<std::vector<Answer>> answer(const models::LanguageModel& model,
                                          const Prompting& prompting, const EvalGenerate& options,
                                          uint64_t seed, c10::Device device,
                                          const std::function<bool()>& stop);

/// "How are you? -> Fine." in at most about 200 characters, for a line of the log.
std::string text_of(const Answer& answer);

}  // namespace lmms::train
