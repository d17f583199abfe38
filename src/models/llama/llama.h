#pragma once
/// Llama 3, 3.1, 3.2 (text) and their like: dense language models.
#include "models/config_reader.h"
#include "models/model.h"
#include "nn/decoder.h"

namespace lmms::models::llama {

/// The decoder of a config.json, class defaults of transformers 5.17 where a key is absent.
nn::DecoderConfig read_config(const ConfigReader& config);

class Llama : public Model, public LinearHeadModel {
 public:
  Llama(const nlohmann::json& config, const std::string& where);

  const LanguageModel* language_model() const override { return this; }
  nn::Hidden hidden(const nn::Batch& batch, const nn::RunContext& context) const override;
  double train_flops(const Workload& work) const override;
  double lmms_engine_flops(const Workload& work) const override;

 private:
  nn::Decoder decoder_;
};

}  // namespace lmms::models::llama
