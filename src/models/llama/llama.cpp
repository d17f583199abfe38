#include "models/llama/llama.h"

#include "models/decoder_keys.h"
#include "models/llama/processor.h"
#include "models/lmms_engine_flops.h"
#include "models/registry.h"
#include "models/rope_config.h"

namespace lmms::models::llama {

nn::DecoderConfig read_config(const ConfigReader& config) {
  nn::DecoderConfig c;
  c.vocab_size = config.integer("vocab_size", 32000);
  c.hidden_size = config.integer("hidden_size", 4096);
  c.intermediate_size = config.integer("intermediate_size", 11008);
  c.layers.resize(static_cast<size_t>(config.integer("num_hidden_layers", 32, 1, 100000)));
  c.heads = config.integer("num_attention_heads", 32);
  c.kv_heads = config.integer("num_key_value_heads", c.heads);
  if (c.heads % c.kv_heads != 0) {
    config.fail("num_key_value_heads", std::to_string(c.kv_heads) +
                                           " does not divide num_attention_heads " +
                                           std::to_string(c.heads));
  }
  if (c.hidden_size % c.heads != 0) {  // refused by transformers, whatever head_dim says
    config.fail("num_attention_heads", std::to_string(c.heads) + " does not divide hidden_size " +
                                           std::to_string(c.hidden_size));
  }
  c.head_dim = config.integer("head_dim", c.hidden_size / c.heads);
  c.qkv_bias = c.output_bias = config.boolean("attention_bias", false);
  c.mlp_bias = config.boolean("mlp_bias", false);
  check_decoder_keys(config);
  if (const int64_t ranks = config.integer("pretraining_tp", 1); ranks != 1) {
    config.fail("pretraining_tp", "not built: sums in the order of " + std::to_string(ranks) +
                                      " ranks; 1 computes the same up to rounding");
  }
  c.rms_norm_eps = config.number("rms_norm_eps", 1e-6);
  c.initializer_range = config.number("initializer_range", 0.02);
  c.pad_token_id = config.integer("pad_token_id", -1, -1, c.vocab_size - 1);
  c.rope = read_rope(config, 10000.0, config.integer("max_position_embeddings", 2048));
  check_rope(config, c.rope, c.head_dim);
  return c;
}

Llama::Llama(const nlohmann::json& config, const std::string& where)
    : Model(config, "LlamaForCausalLM"),
      decoder_(params_, read_config(ConfigReader(config_, where, &keys_read_)), "model.") {
  const ConfigReader reader(config_, where, &keys_read_);
  head_ = nn::add_head(params_, decoder_, reader.boolean("tie_word_embeddings", false));
  // transformers puts its model's prefix before a name, or takes it away, where that makes one
  params_.also_read("model.", "");
  params_.also_read("model.", "model.model.");
  params_.also_read("lm_head.", "model.lm_head.");
}

nn::Hidden Llama::hidden(const nn::Batch& batch, const nn::RunContext& context) const {
  return decoder_(batch, context);
}

double Llama::train_flops(const Workload& work) const {
  return decoder_.train_flops(work.lengths, false, work.extra_pairs) +
         head_.train_flops(work.supervised, decoder_.trains());
}

double Llama::lmms_engine_flops(const Workload& work) const {
  return models::lmms_engine_flops(decoder_.config(), work);
}

ModelEntry entry() {
  return {"llama", "LlamaForCausalLM", "Llama 3, 3.1, 3.2 and 3.3 dense language models",
          [](const nlohmann::json& config, const std::string& where) -> std::unique_ptr<Model> {
            return std::make_unique<Llama>(config, where);
          },
          processor};
}

}  // namespace lmms::models::llama
