#pragma once
/// LLaVA-OneVision: SigLIP, a projector, and Qwen2, whose embeddings of image and video tokens are
/// replaced by projected features. Source: Li et al. 2024, "LLaVA-OneVision: easy visual task
/// transfer"; LlavaOnevisionForConditionalGeneration of transformers 5.17.
#include "models/llava_onevision/config.h"
#include "models/model.h"
#include "models/siglip/siglip.h"
#include "nn/decoder.h"

namespace lmms::models::llava_onevision {

class LlavaOnevision : public Model, public LinearHeadModel {
 public:
  LlavaOnevision(const nlohmann::json& config, const std::string& where);

  const LanguageModel* language_model() const override { return this; }
  std::optional<int32_t> image_token() const override { return settings_.image_token_id; }
  /// Throws Error if the batch's features and the rows that take them differ in number.
  nn::Hidden hidden(const nn::Batch& batch, const nn::RunContext& context) const override;
  double train_flops(const Workload& work) const override;
  double lmms_engine_flops(const Workload& work) const override;

  /// [M, H]: what takes the place of the embeddings of image and video tokens, in their order.
  /// Throws Error if patches, grids and layouts do not fit each other or the config.
  at::Tensor features(const nn::MediaInput& input, const nn::RunContext& context) const;
  const Config& settings() const { return settings_; }

 private:
  void check(const nn::MediaInput& input) const;
  /// One view, black.
  nn::MediaInput smallest_input(at::Device device) const;
  at::Tensor projected(const at::Tensor& hidden, const nn::UnitRun& how) const;
  bool projector_trains() const;

  Config settings_;
  siglip::Tower tower_;
  nn::Linear projector_in_, projector_out_;
  const nn::Param* newline_ = nullptr;  // [H]
  nn::Decoder decoder_;
};

}  // namespace lmms::models::llava_onevision
