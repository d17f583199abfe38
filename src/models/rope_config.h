#pragma once
/// Rotary settings of a config.json, in the form of the hub (rope_theta, rope_scaling) or of
/// transformers 5 (rope_parameters).
#include "models/config_reader.h"
#include "nn/rotary.h"

namespace lmms::models {

/// With M-RoPE the sections stand beside the type ("mrope" of the hub is the plain one). Throws
/// Error for a rope_type that is not built, or parameters outside their range.
nn::RopeConfig read_rope(const ConfigReader& config, double default_theta, int64_t max_positions);

}  // namespace lmms::models
