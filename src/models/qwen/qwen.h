#pragma once
/// Qwen2, Qwen2.5 and Qwen3 dense language models, and those that masked diffusion made of them:
/// one decoder, whose config says which.
#include "models/config_reader.h"
#include "models/decoder_keys.h"
#include "models/model.h"
#include "nn/decoder.h"

namespace lmms::models::qwen {

enum class Generation { qwen2, qwen3 };

/// What a model type of this decoder is.
struct Variant {
  Generation generation = Generation::qwen3;
  const char* architecture = "Qwen3ForCausalLM";
  Sight sight = Sight::causal;
  bool qk_norm = true;   ///< of Qwen3's generation
  bool shifted = false;  ///< masked diffusion: the logits of a position tell the token behind it
};

/// The decoder of a config.json, class defaults of transformers 5.17 where a key is absent.
nn::DecoderConfig read_config(const ConfigReader& config, Generation generation,
                              Sight sight = Sight::causal);

class Qwen : public Model, public LinearHeadModel {
 public:
  Qwen(const nlohmann::json& config, const std::string& where, const Variant& variant);

  const LanguageModel* language_model() const override { return this; }
  nn::Hidden hidden(const nn::Batch& batch, const nn::RunContext& context) const override;
  double train_flops(const Workload& work) const override;
  double lmms_engine_flops(const Workload& work) const override;

 private:
  nn::Decoder decoder_;
};

}  // namespace lmms::models::qwen
