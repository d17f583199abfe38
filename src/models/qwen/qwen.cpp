#include "models/qwen/qwen.h"

#include "models/decoder_keys.h"
#include "models/lmms_engine_flops.h"
#include "models/registry.h"
#include "models/rope_config.h"

namespace lmms::models::qwen {
namespace {

// Windows of so many layers: by layer_types where the file has them (transformers 5 writes them),
// else the rule of Qwen2Config and Qwen3Config: with use_sliding_window, layers from
// max_window_layers on slide.
std::vector<nn::LayerConfig> read_layers(const ConfigReader& config, int64_t count) {
  const bool slides = config.boolean("use_sliding_window", false);
  const int64_t window = slides ? config.integer("sliding_window", 4096) : 0;
  const int64_t first = config.integer("max_window_layers", 28, 0);
  std::vector<nn::LayerConfig> layers(static_cast<size_t>(count));
  for (int64_t i = first; i < count; ++i) layers[static_cast<size_t>(i)].window = window;
  const nlohmann::json& types = config.value("layer_types");
  if (types.is_null()) return layers;
  if (!types.is_array() || types.size() != layers.size()) {
    config.fail("layer_types",
                "expected a list of " + std::to_string(count) + " names, one a layer");
  }
  for (size_t i = 0; i < types.size(); ++i) {
    if (types[i] == "full_attention") {
      layers[i].window = 0;
    } else if (types[i] == "sliding_attention" && slides) {
      layers[i].window = window;
    } else {
      config.fail(
          "layer_types",
          "expected full_attention, or sliding_attention with use_sliding_window: true; got " +
              types[i].dump());
    }
  }
  return layers;
}

}  // namespace

nn::DecoderConfig read_config(const ConfigReader& config, Generation generation, Sight sight) {
  nn::DecoderConfig c;
  c.vocab_size = config.integer("vocab_size", 151936);
  c.hidden_size = config.integer("hidden_size", 4096);
  c.intermediate_size = config.integer("intermediate_size", 22016);
  const int64_t layers = config.integer("num_hidden_layers", 32, 1, 100000);
  c.heads = config.integer("num_attention_heads", 32);
  // as in transformers: absent means 32, null means as many as query heads
  c.kv_heads =
      config.stated("num_key_value_heads") ? config.integer("num_key_value_heads", c.heads) : 32;
  if (c.heads % c.kv_heads != 0) {
    config.fail("num_key_value_heads", std::to_string(c.kv_heads) +
                                           " does not divide num_attention_heads " +
                                           std::to_string(c.heads));
  }
  if (generation == Generation::qwen2) {
    if (c.hidden_size % c.heads != 0 && !config.has("head_dim")) {
      config.fail("num_attention_heads", std::to_string(c.heads) + " does not divide hidden_size " +
                                             std::to_string(c.hidden_size));
    }
    c.head_dim = config.integer("head_dim", c.hidden_size / c.heads);
    c.qkv_bias = true;
  } else {
    c.head_dim = config.integer("head_dim", 128);
    c.qkv_bias = c.output_bias = config.boolean("attention_bias", false);
    c.qk_norm = true;
  }
  check_decoder_keys(config, sight);
  c.rms_norm_eps = config.number("rms_norm_eps", 1e-6);
  c.initializer_range = config.number("initializer_range", 0.02);
  c.pad_token_id = config.integer("pad_token_id", -1, -1, c.vocab_size - 1);
  c.layers = read_layers(config, layers);
  c.rope = read_rope(config, 10000.0, config.integer("max_position_embeddings", 32768));
  check_rope(config, c.rope, c.head_dim);
  return c;
}

namespace {

nn::DecoderConfig decoder_of(const ConfigReader& config, const Variant& variant) {
  nn::DecoderConfig c = read_config(config, variant.generation, variant.sight);
  c.qk_norm = c.qk_norm && variant.qk_norm;
  return c;
}

}  // namespace

Qwen::Qwen(const nlohmann::json& config, const std::string& where, const Variant& variant)
    : Model(config, variant.architecture),
      decoder_(params_, decoder_of(ConfigReader(config_, where, &keys_read_), variant), "model.") {
  if (variant.shifted) config_["diffusion_shift"] = true;
  const ConfigReader reader(config_, where, &keys_read_);
  head_ = nn::add_head(params_, decoder_, reader.boolean("tie_word_embeddings", false));
  // transformers puts its model's prefix before a name, or takes it away, where that makes one
  params_.also_read("model.", "");
  params_.also_read("model.", "model.model.");
  params_.also_read("lm_head.", "model.lm_head.");
}

nn::Hidden Qwen::hidden(const nn::Batch& batch, const nn::RunContext& context) const {
  return decoder_(batch, context);
}

double Qwen::train_flops(const Workload& work) const {
  return decoder_.train_flops(work.lengths, false, work.extra_pairs) +
         head_.train_flops(work.supervised, decoder_.trains());
}

double Qwen::lmms_engine_flops(const Workload& work) const {
  return models::lmms_engine_flops(decoder_.config(), work);
}

}  // namespace lmms::models::qwen

namespace lmms::models {

namespace qwen2 {
namespace {
constexpr qwen::Variant kQwen2{.generation = qwen::Generation::qwen2,
                               .architecture = "Qwen2ForCausalLM"};
}

ModelEntry entry() {
  return {"qwen2", "Qwen2ForCausalLM", "Qwen2 and Qwen2.5 dense language models",
          [](const nlohmann::json& config, const std::string& where) -> std::unique_ptr<Model> {
            return std::make_unique<qwen::Qwen>(config, where, kQwen2);
          },
          chat_processor};
}
}  // namespace qwen2

namespace qwen3 {
ModelEntry entry() {
  return {"qwen3", "Qwen3ForCausalLM", "Qwen3 dense language models",
          [](const nlohmann::json& config, const std::string& where) -> std::unique_ptr<Model> {
            return std::make_unique<qwen::Qwen>(config, where, qwen::Variant{});
          },
          chat_processor};
}
}  // namespace qwen3

// Those of the Python project, and Dream (Ye et al. 2025), whose decoder is Qwen2's.

namespace {

using qwen::Generation;
constexpr qwen::Variant kQwen3Diffusion{.architecture = "Qwen3DLLMForMaskedLM",
                                        .sight = Sight::bidirectional};
constexpr qwen::Variant kDreamDiffusion{
    .architecture = "DreamDLLMForMaskedLM", .sight = Sight::bidirectional, .qk_norm = false};
constexpr qwen::Variant kLladaDiffusion{
    .architecture = "LLaDADLLMForMaskedLM", .sight = Sight::bidirectional, .qk_norm = false};
constexpr qwen::Variant kDream{.generation = Generation::qwen2,
                               .architecture = "DreamModel",
                               .sight = Sight::bidirectional,
                               .shifted = true};

template <const qwen::Variant& variant>
std::unique_ptr<Model> make(const nlohmann::json& config, const std::string& where) {
  return std::make_unique<qwen::Qwen>(config, where, variant);
}

}  // namespace

namespace qwen3_dllm {
ModelEntry entry() {
  return {"qwen3_dllm", kQwen3Diffusion.architecture,
          "Qwen3's decoder as a masked-diffusion language model", make<kQwen3Diffusion>,
          chat_processor};
}
}  // namespace qwen3_dllm

namespace dream_dllm {
ModelEntry entry() {
  return {"dream_dllm", kDreamDiffusion.architecture,
          "the Python project's Dream: Qwen3's decoder without norms of queries and keys",
          make<kDreamDiffusion>, chat_processor};
}
}  // namespace dream_dllm

namespace llada_dllm {
ModelEntry entry() {
  return {"llada_dllm", kLladaDiffusion.architecture,
          "the Python project's LLaDA: Qwen3's decoder without norms of queries and keys",
          make<kLladaDiffusion>, chat_processor};
}
}  // namespace llada_dllm

namespace Dream {
ModelEntry entry() {
  return {"Dream", kDream.architecture, "Dream 7B masked-diffusion language models", make<kDream>,
          chat_processor};
}
}  // namespace Dream

}  // namespace lmms::models
