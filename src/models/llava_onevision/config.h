#pragma once
/// config.json of LLaVA-OneVision.
#include <nlohmann/json.hpp>
#include <string>

#include "models/llava_onevision/tiles.h"
#include "models/siglip/siglip.h"
#include "nn/decoder.h"

namespace lmms::models::llava_onevision {

struct Config {
  nn::DecoderConfig text;
  siglip::Config vision;
  bool tied = false;  ///< the head is the embedding
  bool projector_bias = true;
  TileOptions tiles;  ///< how images are cut; colours and filter are the processor's
  int32_t image_token_id = 151646, video_token_id = 151647;
};

/// Class defaults of transformers 5.17 where a key is absent. `read`: takes down the keys that are
/// asked for. Throws Error naming file and key.
Config read_config(const nlohmann::json& config, const std::string& where,
                   KeysRead* read = nullptr);

}  // namespace lmms::models::llava_onevision
