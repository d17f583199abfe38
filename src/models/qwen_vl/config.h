#pragma once
/// config.json of Qwen2.5-VL, in the hub's form (text keys at the top) or that of transformers 5
/// (text_config), and of Qwen3-VL.
#include <nlohmann/json.hpp>
#include <string>

#include "models/config_reader.h"
#include "models/qwen_vl/rope_index.h"
#include "models/qwen_vl/vision.h"
#include "nn/decoder.h"

namespace lmms::models::qwen_vl {

struct Config {
  nn::DecoderConfig text;
  VisionConfig vision;
  bool tied = false;          ///< the head is the embedding
  RopeIndexConfig positions;  ///< for whoever makes samples
};

/// Class defaults of transformers 5.17 where a key is absent. `read`: takes down the keys that are
/// asked for. Throws Error naming file and key.
Config read_config(const nlohmann::json& config, const std::string& where, Generation generation,
                   KeysRead* read = nullptr);

}  // namespace lmms::models::qwen_vl
