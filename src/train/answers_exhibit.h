#pragma once
/// eval_generate: questions that the model answers at every evaluation.
#include <memory>

#include "generate/answers.h"
#include "train/exhibit.h"

namespace lmms::train {

/// Tells eval_exact and eval_answers where answers are known, and the answers in records of kind
/// "generation"; each picture once, in records of kind "pictures".
std::unique_ptr<Exhibit> answers_exhibit(generate::Questions questions);

/// The share of exact answers in a row of metrics.jsonl.
inline constexpr const char* kExactField = "eval_exact";

}  // namespace lmms::train
