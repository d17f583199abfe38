#include "models/qwen/qwen.h"

#include "models/registry.h"
#include "models/rope_config.h"

namespace lmms::models::qwen {
namespace {

// Keys of each layer: layer_types where the file has them (transformers 5 writes them), else the
// rule of Qwen2Config and Qwen3Config: with use_sliding_window, layers from max_window_layers on
// slide.
std::vector<int64_t> read_windows(const ConfigReader& config, int64_t layers) {
  const bool slides = config.boolean("use_sliding_window", false);
  const int64_t window = slides ? config.integer("sliding_window", 4096) : 0;
  const int64_t first = config.integer("max_window_layers", 28, 0);
  std::vector<int64_t> windows;
  for (int64_t i = 0; i < layers; ++i) windows.push_back(i >= first ? window : 0);
  const nlohmann::json& types = config.value("layer_types");
  if (types.is_null()) return windows;
  if (!types.is_array() || static_cast<int64_t>(types.size()) != layers) {
    config.fail("layer_types",
                "expected a list of " + std::to_string(layers) + " names, one a layer");
  }
  for (size_t i = 0; i < types.size(); ++i) {
    if (types[i] == "full_attention") {
      windows[i] = 0;
    } else if (types[i] == "sliding_attention" && slides) {
      windows[i] = window;
    } else {
      config.fail(
          "layer_types",
          "expected full_attention, or sliding_attention with use_sliding_window: true; got " +
              types[i].dump());
    }
  }
  return windows;
}

}  // namespace

nn::DecoderConfig read_config(const ConfigReader& config, Generation generation) {
  nn::DecoderConfig c;
  c.vocab_size = config.integer("vocab_size", 151936);
  c.hidden_size = config.integer("hidden_size", 4096);
  c.intermediate_size = config.integer("intermediate_size", 22016);
  c.layers = config.integer("num_hidden_layers", 32, 1, 100000);
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
  const std::string activation = config.text("hidden_act", "silu");
  if (activation != "silu")
    config.fail("hidden_act", "not built yet: '" + activation + "' (silu is)");
  if (config.number("attention_dropout", 0.0) != 0.0)
    config.fail("attention_dropout", "not built yet: values other than 0");
  check_causal(config);
  if (config.has("per_layer_config"))
    config.fail("per_layer_config", "not built: layers of different settings");
  c.rms_norm_eps = config.number("rms_norm_eps", 1e-6);
  c.initializer_range = config.number("initializer_range", 0.02);
  c.pad_token_id = config.integer("pad_token_id", -1, -1, c.vocab_size - 1);
  c.windows = read_windows(config, c.layers);
  c.rope = read_rope(config, 10000.0, config.integer("max_position_embeddings", 32768));
  return c;
}

void check_causal(const ConfigReader& config) {
  if (!config.boolean("is_causal", true))
    config.fail("is_causal", "not built: attention that sees what comes later");
}

Qwen::Qwen(const nlohmann::json& config, const std::string& where, Generation generation)
    : Model(config, generation == Generation::qwen2 ? "Qwen2ForCausalLM" : "Qwen3ForCausalLM"),
      decoder_(params_, read_config(ConfigReader(config_, where, &keys_read_), generation),
               "model.") {
  const ConfigReader reader(config_, where, &keys_read_);
  head_ = &add_head(params_, decoder_, reader.boolean("tie_word_embeddings", false));
  // transformers puts its model's prefix before a name, or takes it away, where that makes one
  params_.also_read("model.", "");
  params_.also_read("model.", "model.model.");
  params_.also_read("lm_head.", "model.lm_head.");
}

at::Tensor Qwen::hidden(const nn::Batch& batch, const nn::RunContext& context) const {
  return decoder_(batch, context);
}

double Qwen::train_flops(const Workload& work) const {
  return decoder_.train_flops(work.lengths) +
         head_flops(*head_, work.supervised, decoder_.trains());
}

double Qwen::lmms_engine_flops(const Workload& work) const {
  return qwen::lmms_engine_flops(decoder_.config(), work);
}

const nn::Param& add_head(nn::ParamTable& params, const nn::Decoder& decoder, bool tied,
                          const std::string& prefix) {
  const nn::Param& embedding = *decoder.embedding().weight;
  const std::string name = prefix + "lm_head.weight";
  params.set_head({name, embedding.name});
  if (tied) return embedding;
  const nn::DecoderConfig& c = decoder.config();
  return params.add(prefix + "lm_head", name, {c.vocab_size, c.hidden_size},
                    {nn::Init::Law::normal, c.initializer_range, -1}, nn::ParamClass::embedding);
}

double head_flops(const nn::Param& head, int64_t supervised, bool below_trains) {
  return 2.0 * static_cast<double>(supervised) * static_cast<double>(head.elements()) *
         (1 + (below_trains ? 1 : 0) + (head.trainable ? 1 : 0));
}

double lmms_engine_flops(const nn::DecoderConfig& c, const Workload& work) {
  const auto H = static_cast<double>(c.hidden_size), I = static_cast<double>(c.intermediate_size);
  const auto Nq = static_cast<double>(c.heads), Nkv = static_cast<double>(c.kv_heads),
             D = static_cast<double>(c.head_dim);
  const auto L = static_cast<double>(c.layers);
  const double N =
      L * (3 * H * I + H * D * (2 * Nq + 2 * Nkv)) + 2 * static_cast<double>(c.vocab_size) * H;
  double tokens = 0, squares = 0;
  for (int64_t n : work.lengths) {
    tokens += static_cast<double>(n);
    squares += static_cast<double>(n) * static_cast<double>(n);
  }
  return 6 * N * tokens + 12 * L * Nq * D * squares;
}

}  // namespace lmms::models::qwen

namespace lmms::models {

namespace qwen2 {
ModelEntry entry() {
  return {"qwen2", "Qwen2ForCausalLM", "Qwen2 and Qwen2.5 dense language models",
          [](const nlohmann::json& config, const std::string& where) -> std::unique_ptr<Model> {
            return std::make_unique<qwen::Qwen>(config, where, qwen::Generation::qwen2);
          }};
}
}  // namespace qwen2

namespace qwen3 {
ModelEntry entry() {
  return {"qwen3", "Qwen3ForCausalLM", "Qwen3 dense language models",
          [](const nlohmann::json& config, const std::string& where) -> std::unique_ptr<Model> {
            return std::make_unique<qwen::Qwen>(config, where, qwen::Generation::qwen3);
          }};
}
}  // namespace qwen3

}  // namespace lmms::models
