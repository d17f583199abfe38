#include "models/qwen_vl/config.h"

#include "models/config_reader.h"
#include "models/qwen/qwen.h"

namespace lmms::models::qwen_vl {
namespace {

using nlohmann::json;

const json& section(const ConfigReader& config, const char* key) {
  static const json empty = json::object();
  const json& value = config.value(key);
  if (!value.is_null() && !value.is_object())
    config.fail(key, "expected a map, got " + value.dump());
  return value.is_null() ? empty : value;
}

// The text half as a config of Qwen2, with the defaults of Qwen2_5_VLTextConfig, which are others.
json text_keys(const json& config, const ConfigReader& reader) {
  json text = {{"vocab_size", 152064},    {"hidden_size", 8192},       {"intermediate_size", 29568},
               {"num_hidden_layers", 80}, {"num_attention_heads", 64}, {"num_key_value_heads", 8},
               {"rms_norm_eps", 1e-5},    {"max_window_layers", 80},   {"rope_theta", 1e6}};
  text.update(reader.has("text_config") ? section(reader, "text_config") : config);
  const char* key = text.contains("rope_parameters") && !text["rope_parameters"].is_null()
                        ? "rope_parameters"
                        : "rope_scaling";
  json& rope = text[key];
  if (rope.is_null()) rope = json::object();
  if (rope.is_object() && !rope.contains("mrope_section")) rope["mrope_section"] = {16, 24, 24};
  return text;
}

// One number, or one a direction if they agree.
int64_t side(const ConfigReader& vision, const char* key, int64_t fallback) {
  const json& value = vision.value(key);
  if (value.is_array()) vision.fail(key, "not built yet: a list; one number is");
  return vision.integer(key, fallback, 1, 4096);
}

VisionConfig read_vision(const ConfigReader& vision) {
  VisionConfig c;
  c.depth = vision.integer("depth", c.depth, 1, 100000);
  c.hidden_size = vision.integer("hidden_size", c.hidden_size, 1, 1 << 20);
  c.intermediate_size = vision.integer("intermediate_size", c.intermediate_size);
  c.heads = vision.integer("num_heads", c.heads);
  if (c.hidden_size % c.heads != 0 || c.head_dim() % 4 != 0) {
    vision.fail("num_heads",
                "hidden_size " + std::to_string(c.hidden_size) + " in " + std::to_string(c.heads) +
                    " heads: a head's size must be a multiple of 4, half of it for rows and half "
                    "for columns");
  }
  c.in_channels = vision.integer("in_channels", c.in_channels, 1, 4096);
  c.patch_size = side(vision, "patch_size", c.patch_size);
  c.temporal_patch_size = side(vision, "temporal_patch_size", c.temporal_patch_size);
  c.merge = vision.integer("spatial_merge_size", c.merge, 1, 64);
  const int64_t window = vision.integer("window_size", 112, 1, 1 << 20);
  c.window = window / c.merge / c.patch_size;
  if (c.window < 1) {
    vision.fail("window_size", std::to_string(window) + " pixels hold no token of " +
                                   std::to_string(c.merge * c.patch_size) + " pixels");
  }
  c.out_hidden_size = vision.integer("out_hidden_size", c.out_hidden_size);
  c.initializer_range = vision.number("initializer_range", c.initializer_range);
  const std::string activation = vision.text("hidden_act", "silu");
  if (activation != "silu")
    vision.fail("hidden_act", "not built yet: '" + activation + "' (silu is)");
  const json& rope = section(vision, "rope_parameters");
  c.rope_theta =
      ConfigReader(rope, vision.where() + ": rope_parameters").number("rope_theta", 10000.0);
  if (!(c.rope_theta > 1)) vision.fail("rope_parameters", "rope_theta: expected a number above 1");

  static const json usual = {7, 15, 23, 31};
  const json& blocks =
      vision.has("fullatt_block_indexes") ? vision.value("fullatt_block_indexes") : usual;
  if (!blocks.is_array())
    vision.fail("fullatt_block_indexes", "expected a list of blocks, got " + blocks.dump());
  c.is_full.assign(static_cast<size_t>(c.depth), false);
  for (const json& block : blocks) {
    if (!block.is_number_integer())
      vision.fail("fullatt_block_indexes", "expected whole numbers, got " + block.dump());
    // as in transformers: what names no block changes none
    const auto index = block.get<int64_t>();
    if (index >= 0 && index < c.depth) c.is_full[static_cast<size_t>(index)] = true;
  }
  return c;
}

}  // namespace

Config read_config(const nlohmann::json& config, const std::string& where) {
  const ConfigReader top(config, where);
  Config c;
  const json text = text_keys(config, top);
  const ConfigReader text_reader(text, top.has("text_config") ? where + ": text_config" : where);
  c.text = qwen::read_config(text_reader, qwen::Generation::qwen2);
  c.tied = top.boolean("tie_word_embeddings", false) ||
           text_reader.boolean("tie_word_embeddings", false);

  const ConfigReader vision(section(top, "vision_config"), where + ": vision_config");
  c.vision = read_vision(vision);
  if (c.vision.out_hidden_size != c.text.hidden_size) {
    vision.fail("out_hidden_size", std::to_string(c.vision.out_hidden_size) +
                                       " is not the hidden_size of the language model, " +
                                       std::to_string(c.text.hidden_size));
  }
  c.positions.merge = c.vision.merge;
  c.positions.tokens_per_second = vision.integer("tokens_per_second", 4, 0, 1 << 20);
  const int64_t last = c.text.vocab_size - 1;
  c.positions.image_token_id =
      static_cast<int32_t>(top.integer("image_token_id", 151655, 0, int64_t{1} << 30));
  c.positions.video_token_id =
      static_cast<int32_t>(top.integer("video_token_id", 151656, 0, int64_t{1} << 30));
  for (const auto& [key, id] : {std::pair{"image_token_id", c.positions.image_token_id},
                                std::pair{"video_token_id", c.positions.video_token_id}}) {
    if (id > last) {
      top.fail(key, std::to_string(id) + " is outside the vocabulary of " +
                        std::to_string(c.text.vocab_size));
    }
  }
  return c;
}

}  // namespace lmms::models::qwen_vl
