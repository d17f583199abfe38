#pragma once
/// Masked diffusion language models: some tokens of a text are masked, the model sees all of it at
/// once and tells what they were (Sahoo et al. 2024, "MDLM", equation 10; Nie et al. 2025, "LLaDA",
/// equation 3).
#include <cstdint>
#include <memory>

#include "objectives/objective.h"

namespace lmms::objectives {

/// Keys of config.json that a checkpoint gets, or brings along: the id that stands for a masked
/// token; the length of blocks of block diffusion, 0: none; and whether the logits of a position
/// tell the token behind it, as of models that were made of causal ones (Dream).
inline constexpr const char* kMaskTokenKey = "mask_token_id";
inline constexpr const char* kBlockLengthKey = "diffusion_block_length";
inline constexpr const char* kShiftKey = "diffusion_shift";

/// With t uniform in [t_min, t_max], the loss is the sum over masked tokens of -log p(token) / t,
/// divided by the number of tokens that could have been masked (an estimate of the bound on their
/// mean negative log-likelihood) or by that of those that were (DiffusionNormalizer::masked, and
/// under ObjectiveOptions::mean_of_means). Terms
/// beside it, in evaluations: `nll` and `accuracy`, means over masked tokens without 1 / t; and
/// where the loss is no bound the `bound`.
std::unique_ptr<Objective> masked_diffusion(const ObjectiveSetup& setup);

ObjectiveEntry masked_diffusion_entry();

/// The token that stands for a masked one: masked_diffusion.mask_token, else that of the model's
/// config.json, else the tokenizer's mask token, else the first id of the model's vocabulary that
/// the tokenizer leaves free. Throws Error if there is none.
int32_t mask_token_of(const ObjectiveSetup& setup);

}  // namespace lmms::objectives
