#pragma once
/// A batch in words, for `print_batch_input_steps`.
#include <string>

#include "data/batch.h"
#include "text/tokenizer.h"

namespace lmms::train {

/// The first sample of a batch as the model sees it, control tokens included, under a line of its
/// counts; "" for a batch without samples.
std::string first_sample_text(const data::Batch& batch, const text::Tokenizer* tokenizer);

}  // namespace lmms::train
