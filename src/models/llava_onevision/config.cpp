#include "models/llava_onevision/config.h"

#include <charconv>

#include "models/config_reader.h"
#include "models/decoder_keys.h"
#include "models/qwen/qwen.h"

namespace lmms::models::llava_onevision {
namespace {

using nlohmann::json;

// SiglipVisionConfig's own defaults, or where there is no vision_config at all, those of
// LlavaOnevisionConfig.
siglip::Config vision_defaults(bool stated) {
  siglip::Config c;
  if (stated) return c;
  c.layers = 26;
  c.hidden_size = 1152;
  c.intermediate_size = 4304;
  c.heads = 16;
  c.image_size = 384;
  c.patch_size = 14;
  return c;
}

// hidden_states[vision_feature_layer]: 0 is the embedding, -1 the last layer's.
int64_t layers_run(const ConfigReader& top, int64_t layers) {
  const char* key = "vision_feature_layer";
  if (top.value(key).is_array()) top.fail(key, "not built yet: a list; one number is");
  const int64_t layer = top.integer(key, -1, -layers - 1, layers);
  return layer < 0 ? layers + 1 + layer : layer;
}

// "anyres_max_9"
int most_tiles(const ConfigReader& top) {
  const std::string key = "vision_aspect_ratio", prefix = "anyres_max_";
  const std::string text = top.text(key.c_str(), "anyres_max_9");
  int number = 0;
  const char* end = text.data() + text.size();
  if (text.starts_with(prefix)) {
    const auto [at, fault] = std::from_chars(text.data() + prefix.size(), end, number);
    if (fault == std::errc{} && at == end && number >= 1) return number;
  }
  top.fail(key, "expected 'anyres_max_' and a number, such as 'anyres_max_9'; got '" + text + "'");
}

std::vector<media::Extent> pinpoints(const ConfigReader& top, int64_t tile) {
  const char* key = "image_grid_pinpoints";
  std::vector<media::Extent> all;
  const json& list = top.value(key);
  if (list.is_null()) {  // of 384, whatever the image_size is
    for (int h = 1; h <= 6; ++h)
      for (int w = 1; w <= 6; ++w) all.push_back({384 * h, 384 * w});
  } else if (!list.is_array() || list.empty()) {
    top.fail(key, "expected a list of [height, width], got " + list.dump().substr(0, 60));
  } else {
    for (const json& one : list) {
      if (!one.is_array() || one.size() != 2 || !one[0].is_number_integer() ||
          !one[1].is_number_integer() || one[0] < 1 || one[1] < 1 || one[0] > 1 << 20 ||
          one[1] > 1 << 20)
        top.fail(key, "expected [height, width] in pixels, got " + one.dump().substr(0, 60));
      all.push_back({one[0].get<int>(), one[1].get<int>()});
    }
  }
  for (const media::Extent& e : all) {
    if (e.height % tile != 0 || e.width % tile != 0) {
      top.fail(key, "[" + std::to_string(e.height) + ", " + std::to_string(e.width) +
                        "]: not whole tiles of vision_config.image_size " + std::to_string(tile));
    }
  }
  return all;
}

int32_t token(const ConfigReader& top, const char* key, const char* other, int32_t fallback,
              int64_t vocab_size) {
  if (!top.has(key) && top.has(other)) key = other;
  const auto id = static_cast<int32_t>(top.integer(key, fallback, 0, int64_t{1} << 30));
  if (id >= vocab_size) {
    top.fail(key,
             std::to_string(id) + " is outside the vocabulary of " + std::to_string(vocab_size));
  }
  return id;
}

}  // namespace

Config read_config(const json& config, const std::string& where, KeysRead* read) {
  const ConfigReader top(config, where, read);
  Config c;
  check_causal(top);
  const ConfigReader text = top.inside("text_config");
  const std::string type = text.text("model_type", "qwen2");
  if (type != "qwen2") text.fail("model_type", "not built yet: '" + type + "' (qwen2 is)");
  c.text = qwen::read_config(text, qwen::Generation::qwen2);
  c.tied = top.boolean("tie_word_embeddings", false) || text.boolean("tie_word_embeddings", false);

  const ConfigReader vision = top.inside("vision_config");
  c.vision = siglip::read_config(vision, vision_defaults(top.has("vision_config")));
  c.vision.layers_run = layers_run(top, c.vision.layers);
  const std::string strategy = top.text("vision_feature_select_strategy", "full");
  if (strategy != "full") {
    top.fail(
        "vision_feature_select_strategy",
        "not built: '" + strategy + "' leaves out a patch, SigLIP has no class token (full is)");
  }
  const std::string activation = top.text("projector_hidden_act", "gelu");
  if (activation != "gelu")
    top.fail("projector_hidden_act", "not built yet: '" + activation + "' (gelu is)");
  c.projector_bias = top.boolean("multimodal_projector_bias", true);

  c.tiles.tile = static_cast<int>(c.vision.image_size);
  c.tiles.features_per_side = static_cast<int>(c.vision.side());
  c.tiles.most_tiles = most_tiles(top);
  c.tiles.pinpoints = pinpoints(top, c.vision.image_size);
  c.image_token_id = token(top, "image_token_index", "image_token_id", 151646, c.text.vocab_size);
  c.video_token_id = token(top, "video_token_index", "video_token_id", 151647, c.text.vocab_size);
  return c;
}

}  // namespace lmms::models::llava_onevision
