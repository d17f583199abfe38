#pragma once
/// The count of FLOPs that `mfu_lmms_engine` is made of.
#include "models/model.h"
#include "nn/decoder.h"

namespace lmms::models {

/// Model::lmms_engine_flops of a decoder of dense layers, whatever else the model has.
double lmms_engine_flops(const nn::DecoderConfig& config, const Workload& work);

}  // namespace lmms::models
