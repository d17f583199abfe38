#pragma once
/// What masked diffusion draws for a sample: the share t of masked tokens, and which they are.
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "data/draws.h"
#include "objectives/config.h"

namespace lmms::objectives {

/// Names in data::Sample::counts: tokens that could have been masked, and those that were.
inline constexpr const char* kMaskable = "maskable";
inline constexpr const char* kMasked = "masked";
/// data::Sample::extras: t of every block that has masked tokens, of the sample where it is one.
inline constexpr const char* kTime = "time";

struct MaskedDrawingSettings {
  int32_t mask_token = 0;
  std::vector<int32_t> special_tokens = {};         ///< ascending
  std::optional<int32_t> end_token = std::nullopt;  ///< special, and masked all the same
  /// The logits of a position tell the token behind it: targets stand there, and the first token
  /// of a sample is never masked.
  bool shifted = false;
  MaskedDiffusionConfig config = {};
};

/// Turns samples whose labels are those of the next token into samples of masked tokens, of which
/// each is the target of its own position with weight 1 / t.
///
/// lay_out: one segment of mode full. With a block_length (block diffusion: Arriola et al. 2025,
/// section 3.3) blocks are counted from the sample's first token; each that has tokens to mask is
/// there twice, noised and then clean, with the same positions: a noised block sees itself and the
/// clean blocks before it, a clean one itself and the clean ones before it. What nothing trained
/// sees is left out. Throws Error for a sample with media under a block_length.
///
/// draw: t uniform in [t_min, t_max], one for each noised block; every token that may be masked is,
/// with probability t.
std::shared_ptr<const data::Drawing> masked_diffusion_drawing(MaskedDrawingSettings settings);

}  // namespace lmms::objectives
