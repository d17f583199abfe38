#pragma once
/// Rotary settings of a config.json, in the form of the hub (rope_theta, rope_scaling) or of
/// transformers 5 (rope_parameters).
#include "models/config_reader.h"
#include "nn/rotary.h"

namespace lmms::models {

/// The key of a config that holds its rotary settings: rope_scaling if it says anything, whatever
/// stands beside it, else rope_parameters.
const char* rope_key(const nlohmann::json& config);

/// rope_theta in the section of rope_key, else beside it. Throws Error for one that is not above 1.
double read_rope_theta(const ConfigReader& config, double fallback);

/// With M-RoPE the sections stand beside the type ("mrope" of the hub is the plain one). Throws
/// Error for a rope_type that is not built, or parameters outside their range; warns where
/// rope_scaling takes a rope_theta of rope_parameters away.
nn::RopeConfig read_rope(const ConfigReader& config, double default_theta, int64_t max_positions);

/// Throws Error where heads of this size cannot be turned: an odd one, or M-RoPE's sections that do
/// not add up to half of it.
void check_rope(const ConfigReader& config, const nn::RopeConfig& rope, int64_t head_dim);

}  // namespace lmms::models
