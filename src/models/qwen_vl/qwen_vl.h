#pragma once
/// Qwen2.5-VL and Qwen3-VL: the decoder of Qwen2 or Qwen3 with three-axis positions, and a vision
/// tower whose features stand in for the embeddings of pad tokens.
#include "models/model.h"
#include "models/qwen_vl/config.h"
#include "models/qwen_vl/vision.h"
#include "nn/decoder.h"

namespace lmms::models::qwen_vl {

class QwenVl : public Model, public LinearHeadModel {
 public:
  QwenVl(const nlohmann::json& config, const std::string& where, Generation generation);

  const LanguageModel* language_model() const override { return this; }
  std::optional<int32_t> image_token() const override { return settings_.positions.image_token_id; }
  /// Throws Error if the batch's features and the rows that take them differ in number.
  nn::Hidden hidden(const nn::Batch& batch, const nn::RunContext& context) const override;
  double train_flops(const Workload& work) const override;
  double lmms_engine_flops(const Workload& work) const override;

  const VisionTower& tower() const { return tower_; }
  const Config& settings() const { return settings_; }

 private:
  Config settings_;
  VisionTower tower_;
  nn::Decoder decoder_;
};

}  // namespace lmms::models::qwen_vl
