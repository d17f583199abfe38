#pragma once
/// Qwen2, Qwen2.5 and Qwen3 dense language models: one decoder, whose config says which.
#include "models/config_reader.h"
#include "models/model.h"
#include "nn/decoder.h"

namespace lmms::models::qwen {

enum class Generation { qwen2, qwen3 };

/// The decoder of a config.json, class defaults of transformers 5.17 where a key is absent.
nn::DecoderConfig read_config(const ConfigReader& config, Generation generation);

/// Throws Error for is_causal: false, which transformers asks for in several places.
void check_causal(const ConfigReader& config);

/// FLOPs of forward and backward of a language head over the supervised positions; `below_trains`:
/// something takes the gradient of its input.
double head_flops(const nn::Param& head, int64_t supervised, bool below_trains);
/// Model::lmms_engine_flops of a decoder.
double lmms_engine_flops(const nn::DecoderConfig& config, const Workload& work);
/// The head's own Param, `prefix` before its name, or the embedding where the two are tied.
const nn::Param& add_head(nn::ParamTable& params, const nn::Decoder& decoder, bool tied,
                          const std::string& prefix = "");

class Qwen : public Model, public LanguageModel {
 public:
  Qwen(const nlohmann::json& config, const std::string& where, Generation generation);

  const LanguageModel* language_model() const override { return this; }
  at::Tensor hidden(const nn::Batch& batch, const nn::RunContext& context) const override;
  const nn::Param& head() const override { return *head_; }
  int64_t vocab_size() const override { return decoder_.config().vocab_size; }
  double train_flops(const Workload& work) const override;
  double lmms_engine_flops(const Workload& work) const override;

 private:
  nn::Decoder decoder_;
  const nn::Param* head_;
};

}  // namespace lmms::models::qwen
