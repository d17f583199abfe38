#pragma once
/// Keys of config.json that every decoder family shares, and that only one value is built of.
#include "models/config_reader.h"

namespace lmms::models {

/// Throws Error for another activation than silu, dropout, is_causal: false, and layers with
/// settings of their own.
void check_decoder_keys(const ConfigReader& config);

/// Throws Error for is_causal: false, which transformers asks for in several places.
void check_causal(const ConfigReader& config);

}  // namespace lmms::models
