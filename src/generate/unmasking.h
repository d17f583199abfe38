#pragma once
/// Text from a masked-diffusion language model: masks in, which a few steps turn into tokens (Nie
/// et al. 2025, "Large Language Diffusion Models", section 2.4).
#include <cstdint>
#include <functional>
#include <nlohmann/json.hpp>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/config/names.h"
#include "data/sample.h"
#include "step/forward_model.h"

namespace lmms::generate {

struct GenerationOptions;
struct GenerationHooks;
struct Generated;

/// Every step predicts all masks and masks some of them again: which.
enum class Remasking {
  low_confidence,  ///< all but those of the highest probability
  low_margin,      ///< ... of the largest distance between the two most likely tokens
  high_entropy,    ///< ... of the smallest entropy
  random           ///< all but some that are drawn
};
std::span<const config::EnumName<Remasking>> enum_names(Remasking);

struct UnmaskingOptions {
  int32_t mask_id = 0;
  /// > 0: a model that was trained on blocks of so many tokens, counted from the first of the text,
  /// which see themselves and what is before them, never what is behind (Arriola et al. 2025,
  /// "Block Diffusion").
  int64_t trained_block = 0;
  /// The logits of a position are of the token behind it (Ye et al. 2025, "Dream"), of the first
  /// one also its own.
  bool shifted = false;
  /// > 0: an answer is filled in block after block of so many tokens; 0: all at once, or blocks as
  /// the model was trained.
  int64_t block_length = 0;
  /// Of an answer, or of the masks in a text; 0: as many as masks. A block has its share, at least
  /// one, and settles the same number of tokens in each of them, one more in the first ones where
  /// that leaves a rest.
  int64_t steps = 0;
  Remasking remasking = Remasking::low_confidence;
  /// A step also settles every token of at least this probability (Wu et al. 2025, "Fast-dLLM").
  std::optional<double> confidence_threshold = {};
  /// Logits become u + guidance * (c - u), u those behind a prompt of masks; 1: none (Nie et al.
  /// 2025, appendix A.2: w = guidance - 1).
  double guidance = 1;
  /// Keep keys and values of finished blocks: changes no prediction, so only of a model trained on
  /// blocks. false: everything is computed anew in every step.
  bool cache = true;

  /// Of the blocks in which an answer is filled in; 0: one.
  int64_t block() const { return trained_block > 0 ? trained_block : block_length; }
  bool operator==(const UnmaskingOptions&) const = default;
};

/// Of a model whose config.json names a mask_token_id (diffusion_block_length: trained_block,
/// diffusion_shift: shifted); nullopt: it writes one token after another. Throws Error, naming
/// `where`, for values that cannot be.
std::optional<UnmaskingOptions> unmasking_of(const nlohmann::json& model_config,
                                             const std::string& where);

/// Blocks of so many tokens; 0: as the model was trained. Throws Error, naming `where`, for a model
/// that was trained on blocks of another length.
void set_block_length(UnmaskingOptions& options, int64_t block_length, const std::string& where);

/// How many masks each of the steps settles: `masks` in `steps` nearly equal parts, the larger ones
/// first. None is empty: fewer steps where there are fewer masks.
std::vector<int64_t> unmasking_schedule(int64_t masks, int64_t steps);

/// generate() under options.unmasking. A prompt with masks in it is filled in where they stand, and
/// nothing is written behind it: Generated::ids are the whole text. Behind any other stand
/// max_new_tokens masks (rounded up to whole blocks of a model trained on them); its answer ends
/// before the first of stop_ids, as soon as that and all before it are settled.
///
/// The draws of a token depend on (seed, number of the prompt, step, position) alone. Throws Error:
/// guidance, or blocks that the model was trained on, for prompts with images.
std::vector<Generated> fill_in_masks(const step::ForwardModel& forward,
                                     std::span<const data::Sample> prompts,
                                     const GenerationOptions& options,
                                     const GenerationHooks& hooks);

}  // namespace lmms::generate
