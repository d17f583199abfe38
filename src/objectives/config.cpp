#include "objectives/config.h"

#include "core/config/fields.h"

namespace lmms::objectives {

using config::EnumName;
using config::Fields;
using config::Rule;

std::span<const EnumName<DiffusionNormalizer>> enum_names(DiffusionNormalizer) {
  static constexpr EnumName<DiffusionNormalizer> list[] = {{DiffusionNormalizer::tokens, "tokens"},
                                                           {DiffusionNormalizer::masked, "masked"}};
  return list;
}

std::span<const EnumName<MaskedTokens>> enum_names(MaskedTokens) {
  static constexpr EnumName<MaskedTokens> list[] = {{MaskedTokens::targets, "targets"},
                                                    {MaskedTokens::all, "all"}};
  return list;
}

void fields(Fields& f, MaskedDiffusionConfig& c) {
  f("mask_token", c.mask_token,
    "what stands for a masked token; absent: the tokenizer's mask token, else the first id of the "
    "model's vocabulary that the tokenizer leaves free");
  f("t_min", c.t_min, "least share of masked tokens; t is uniform between t_min and t_max",
    Rule().more_than(0).at_most(1));
  f("t_max", c.t_max, "largest share of masked tokens", Rule().more_than(0).at_most(1));
  f("masked_tokens", c.masked_tokens,
    "targets: answers, of plain text all; all: prompts are masked and trained too");
  f("mask_special_tokens", c.mask_special_tokens,
    "special tokens are masked too; the one that ends an answer always is");
  f("normalizer", c.normalizer,
    "what the sum of loss / t is divided by: the tokens that could be masked (a bound on their "
    "likelihood), or those that were");
  f("block_length", c.block_length,
    "block diffusion: blocks of so many tokens see themselves and the clean blocks before them; 0: "
    "the whole sample is one",
    Rule().at_least(0).at_most(1 << 20));
  f("pad_answers", c.pad_answers,
    "answers are filled up with their end to a multiple of this; 0: not",
    Rule().at_least(0).at_most(1 << 20));
  f("eval_draws", c.eval_draws, "draws of t and masks that an evaluation is the mean of",
    Rule().at_least(1).at_most(1 << 16));
}

void fields(Fields& f, InterpolantConfig& c) {
  f("flip", c.flip, "half of the images are mirrored");
  f("eval_draws", c.eval_draws, "draws of t and noise that an evaluation is the mean of",
    Rule().at_least(1).at_most(1 << 16));
}

void fields(Fields& f, ObjectiveConfig& c) {
  f("masked_diffusion", c.masked_diffusion, "settings of dllm_trainer", Rule().or_null());
  f("interpolant", c.interpolant, "settings of sit_trainer", Rule().or_null());
  f("objective_kwargs", c.kwargs, "settings of a plugin's objective", Rule().or_null());
}

}  // namespace lmms::objectives
