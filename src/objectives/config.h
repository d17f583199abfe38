#pragma once
/// Settings of objectives. In the file they stand under `trainer_args`, a section for each.
#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "core/config/names.h"
#include "core/config/value.h"

namespace lmms::config {
class Fields;
}

namespace lmms::objectives {

/// What the loss of masked diffusion is divided by.
enum class DiffusionNormalizer {
  tokens,  ///< the tokens that could have been masked: the bound on their likelihood
  masked,  ///< those that were, as the Python project does
};
/// Which tokens may be masked.
enum class MaskedTokens {
  targets,  ///< those that are trained: answers; of plain text all
  all,      ///< prompts too
};

/// `masked_diffusion` (trainer_type dllm_trainer).
struct MaskedDiffusionConfig {
  /// The token that stands for a masked one; absent: the tokenizer's mask token, else the first id
  /// of the model's vocabulary that the tokenizer leaves free.
  std::optional<std::string> mask_token;
  double t_min = 0.01, t_max = 0.99;  ///< t is uniform between them
  MaskedTokens masked_tokens = MaskedTokens::targets;
  bool mask_special_tokens = false;  ///< also those that are special to the tokenizer; what ends an
                                     ///< answer always may be
  DiffusionNormalizer normalizer = DiffusionNormalizer::tokens;
  /// > 0: block diffusion: blocks of so many tokens, each with a t of its own, see themselves and
  /// the clean blocks before them.
  int64_t block_length = 0;
  /// Answers are filled up with their end to a multiple of this, and learn where they end; 0: not.
  int64_t pad_answers = 0;
  int64_t eval_draws = 4;  ///< draws of t and masks that an evaluation is the mean of

  bool operator==(const MaskedDiffusionConfig&) const = default;
};

/// `interpolant` (trainer_type sit_trainer). Path, prediction and weighting are the model's.
struct InterpolantConfig {
  bool flip = true;        ///< half of the images are mirrored
  int64_t eval_draws = 4;  ///< draws of t and noise that an evaluation is the mean of

  bool operator==(const InterpolantConfig&) const = default;
};

struct ObjectiveConfig {
  MaskedDiffusionConfig masked_diffusion;
  InterpolantConfig interpolant;
  config::Value kwargs{config::Value::Map{}};  ///< `objective_kwargs`: read by a plugin's objective

  bool operator==(const ObjectiveConfig&) const = default;
};

std::span<const config::EnumName<DiffusionNormalizer>> enum_names(DiffusionNormalizer);
std::span<const config::EnumName<MaskedTokens>> enum_names(MaskedTokens);

/// The sections, flat: listed by trainer_args.
void fields(config::Fields& f, MaskedDiffusionConfig& c);
void fields(config::Fields& f, InterpolantConfig& c);
void fields(config::Fields& f, ObjectiveConfig& c);

}  // namespace lmms::objectives
