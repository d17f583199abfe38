#include "models/qwen_vl/config.h"

#include "models/qwen/qwen.h"
#include "models/rope_config.h"

namespace lmms::models::qwen_vl {
namespace {

using nlohmann::json;

// The text half as a config of Qwen2 or Qwen3, with the defaults of Qwen2_5_VLTextConfig or
// Qwen3VLTextConfig, which are others.
json text_keys(const json& config, const ConfigReader& reader, Generation generation) {
  const bool third = generation == Generation::qwen3;
  json text = {{"vocab_size", 152064},    {"hidden_size", 8192},       {"intermediate_size", 29568},
               {"num_hidden_layers", 80}, {"num_attention_heads", 64}, {"num_key_value_heads", 8},
               {"rms_norm_eps", 1e-5},    {"max_window_layers", 80},   {"rope_theta", 1e6}};
  if (third) {
    text = {{"vocab_size", 151936},
            {"hidden_size", 4096},
            {"intermediate_size", 22016},
            {"num_hidden_layers", 32},
            {"num_attention_heads", 32},
            {"num_key_value_heads", 32},
            {"rms_norm_eps", 1e-6},
            {"rope_theta", 5e5},
            {"max_position_embeddings", 128000}};
  }
  if (third || reader.has("text_config")) {
    text.update(reader.section("text_config"));
  } else {
    text.update(config);
    for (const char* key :
         {"head_dim", "original_max_position_embeddings", "partial_rotary_factor"}) {
      if (!config.value(key, json()).is_null())
        reader.fail(key,
                    "transformers does not hand it from the top of the config to the text model");
    }
  }
  if (third && text.value("use_sliding_window", json()) == true)
    reader.fail("text_config.use_sliding_window", "not built: transformers has no window here");
  json& rope = text[rope_key(text)];
  if (rope.is_null()) rope = json::object();
  if (rope.is_object() && !rope.contains("mrope_section")) {
    rope["mrope_section"] = third ? json{24, 20, 20} : json{16, 24, 24};
  }
  return text;
}

// One number, or one a direction if they agree.
int64_t side(const ConfigReader& vision, const char* key, int64_t fallback) {
  const json& value = vision.value(key);
  if (value.is_array()) vision.fail(key, "not built yet: a list; one number is");
  return vision.integer(key, fallback, 1, 4096);
}

// What is different in Qwen3-VL: class defaults, frames instead of windows, positions, DeepStack.
void read_vision3(const ConfigReader& vision, int64_t layers, VisionConfig& c) {
  c.window = int64_t{1} << 40;
  c.is_full.assign(static_cast<size_t>(c.depth), true);
  c.positions = vision.integer("num_position_embeddings", 2304, 1, 1 << 24);
  static const json usual = {8, 16, 24};
  const char* key = "deepstack_visual_indexes";
  const json& blocks = vision.has(key) ? vision.value(key) : usual;
  const std::string wanted = "expected block numbers below depth " + std::to_string(c.depth) +
                             ", ascending, at most one for each of the " + std::to_string(layers) +
                             " layers; got " + blocks.dump();
  if (!blocks.is_array() || static_cast<int64_t>(blocks.size()) > layers) vision.fail(key, wanted);
  for (const json& block : blocks) {
    if (!block.is_number_integer() || block.get<double>() < 0 ||
        block.get<double>() >= static_cast<double>(c.depth) ||
        (!c.deepstack.empty() && block.get<int64_t>() <= c.deepstack.back())) {
      vision.fail(key, wanted);
    }
    c.deepstack.push_back(block.get<int64_t>());
  }
}

// Windows and the blocks that see whole frames: Qwen2.5-VL.
void read_windows(const ConfigReader& vision, VisionConfig& c) {
  const int64_t window = vision.integer("window_size", 112, 1, 1 << 20);
  c.window = window / c.merge / c.patch_size;
  if (c.window < 1) {
    vision.fail("window_size", std::to_string(window) + " pixels hold no token of " +
                                   std::to_string(c.merge * c.patch_size) + " pixels");
  }
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
}

VisionConfig read_vision(const ConfigReader& vision, Generation generation, int64_t layers) {
  VisionConfig c;
  c.generation = generation;
  const bool third = generation == Generation::qwen3;
  if (third) {
    c.depth = 27;
    c.hidden_size = 1152;
    c.intermediate_size = 4304;
    c.patch_size = 16;
  }
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
  c.out_hidden_size = vision.integer("out_hidden_size", c.out_hidden_size);
  c.initializer_range = vision.number("initializer_range", c.initializer_range);
  const std::string wanted = third ? "gelu_pytorch_tanh" : "silu";
  const std::string activation = vision.text("hidden_act", wanted);
  if (activation != wanted)
    vision.fail("hidden_act", "not built yet: '" + activation + "' (" + wanted + " is)");
  const ConfigReader rope = vision.inside(rope_key(vision.whole()));
  c.rope_theta = read_rope_theta(vision, 10000.0);
  const std::string type = rope.text("rope_type", rope.text("type", "axial"));
  if (type != "axial" && type != "default")
    rope.fail("rope_type", "not built: '" + type + "' (axial is, as default)");
  if (third) {
    read_vision3(vision, layers, c);
  } else {
    read_windows(vision, c);
  }
  return c;
}

}  // namespace

Config read_config(const nlohmann::json& config, const std::string& where, Generation generation,
                   KeysRead* read) {
  const bool third = generation == Generation::qwen3;
  const ConfigReader top(config, where, read);
  Config c;
  const json text = text_keys(config, top, generation);
  const bool flat = !third && !top.has("text_config");
  const ConfigReader text_reader(text, flat ? where : where + ": text_config", read,
                                 flat ? "" : "text_config.");
  c.text =
      qwen::read_config(text_reader, third ? qwen::Generation::qwen3 : qwen::Generation::qwen2);
  c.text.rope.interleaved = third;  // whatever the file says: transformers asks the class
  c.tied = top.boolean("tie_word_embeddings", false) ||
           (!third && text_reader.boolean("tie_word_embeddings", false));

  const ConfigReader vision = top.inside("vision_config");
  c.vision = read_vision(vision, generation, c.text.layer_count());
  if (c.vision.out_hidden_size != c.text.hidden_size) {
    vision.fail("out_hidden_size", std::to_string(c.vision.out_hidden_size) +
                                       " is not the hidden_size of the language model, " +
                                       std::to_string(c.text.hidden_size));
  }
  c.positions.merge = c.vision.merge;
  c.positions.frames_apart = third;
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
