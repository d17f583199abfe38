#pragma once
/// Keys of config.json that every decoder family shares, and that only one value is built of.
#include "models/config_reader.h"

namespace lmms::models {

/// Who sees what in a family's own code. Training says it by segments, whatever the family.
enum class Sight { causal, bidirectional };

/// Throws Error for another activation than silu, dropout, is_causal that is not the family's, and
/// layers with settings of their own.
void check_decoder_keys(const ConfigReader& config, Sight sight = Sight::causal);

/// Throws Error for is_causal: false, which transformers asks for in several places.
void check_causal(const ConfigReader& config);

}  // namespace lmms::models
