#include "models/qwen_vl/qwen_vl.h"

#include "core/error.h"
#include "core/format.h"
#include "kernels/scatter_rows/scatter_rows.h"
#include "models/lmms_engine_flops.h"
#include "models/qwen_vl/processor.h"
#include "models/registry.h"

namespace lmms::models::qwen_vl {

namespace {

const char* tower_prefix(Generation g) {
  return g == Generation::qwen2_5 ? "visual." : "model.visual.";
}
const char* decoder_prefix(Generation g) {
  return g == Generation::qwen2_5 ? "model." : "model.language_model.";
}

}  // namespace

QwenVl::QwenVl(const nlohmann::json& config, const std::string& where, Generation generation)
    : Model(config, generation == Generation::qwen2_5 ? "Qwen2_5_VLForConditionalGeneration"
                                                      : "Qwen3VLForConditionalGeneration"),
      settings_(read_config(config_, where, generation, &keys_read_)),
      tower_(params_, settings_.vision, tower_prefix(generation)),
      decoder_(params_, settings_.text, decoder_prefix(generation)) {
  head_ = nn::add_head(params_, decoder_, settings_.tied);
  if (generation == Generation::qwen2_5) {
    // transformers 5 calls its modules so, and some releases wrote files with these names
    params_.also_known("visual.", "model.visual.");
    params_.also_known("model.", "model.language_model.");
    params_.also_read("model.", "language_model.");  // a base model without a head
  } else {
    // transformers 4 has this name for the tower too, and configs freeze by it
    params_.also_known("model.visual.", "visual.");
    // transformers puts its model's prefix before a name, or takes it away, where that makes one
    params_.also_read("model.", "");
    params_.also_read("model.", "model.model.");
    params_.also_read("lm_head.", "model.lm_head.");
  }
}

nn::Hidden QwenVl::hidden(const nn::Batch& batch, const nn::RunContext& context) const {
  const at::Tensor embedded = decoder_.embed(batch, context);  // [T, H]
  const nn::MediaInput* seen = batch.media.find(kVision);
  if (!seen) return decoder_.from_embeddings(embedded, batch, context);
  const bool idle = seen->empty();
  const nn::MediaInput input = idle ? tower_.smallest_input(batch.input_ids.device()) : *seen;
  const VisionFeatures features = tower_(input, context);
  // No row takes the features of the smallest image: the tower runs forward and backward, and its
  // gradient is 0.
  const auto taken = [&](const at::Tensor& t) {
    return (idle ? t.narrow(0, 0, 0) : t).to(embedded.scalar_type());  // [M, H]
  };
  const at::Tensor merged = taken(features.merged);
  if (merged.size(0) != input.rows.numel()) {
    throw Error("images",
                fmt::format("{} features for {} pad tokens", merged.size(0), input.rows.numel()));
  }
  nn::Injection injection{input.rows, {}};
  for (const at::Tensor& t : features.deepstack) injection.after_layer.push_back(taken(t));
  return decoder_.from_embeddings(kernels::place_rows(embedded, input.rows, merged), batch, context,
                                  injection);
}

double QwenVl::train_flops(const Workload& work) const {
  const bool tower_trains = !work.grids(kVision).empty() && tower_.trains();
  return (work.grids(kVision).empty() ? 0.0 : tower_.train_flops(work.grids(kVision))) +
         decoder_.train_flops(work.lengths, tower_trains, work.extra_pairs) +
         head_.train_flops(work.supervised, tower_trains || decoder_.trains());
}

double QwenVl::lmms_engine_flops(const Workload& work) const {
  return models::lmms_engine_flops(settings_.text, work);
}

}  // namespace lmms::models::qwen_vl

namespace lmms::models {

namespace qwen2_5_vl {
ModelEntry entry() {
  return {"qwen2_5_vl", "Qwen2_5_VLForConditionalGeneration", "Qwen2.5-VL: images, video and text",
          [](const nlohmann::json& config, const std::string& where) -> std::unique_ptr<Model> {
            return std::make_unique<qwen_vl::QwenVl>(config, where, qwen_vl::Generation::qwen2_5);
          },
          qwen_vl::qwen2_5_processor};
}
}  // namespace qwen2_5_vl

namespace qwen3_vl {
ModelEntry entry() {
  return {"qwen3_vl", "Qwen3VLForConditionalGeneration", "Qwen3-VL: images, video and text",
          [](const nlohmann::json& config, const std::string& where) -> std::unique_ptr<Model> {
            return std::make_unique<qwen_vl::QwenVl>(config, where, qwen_vl::Generation::qwen3);
          },
          qwen_vl::qwen3_processor};
}
}  // namespace qwen3_vl

}  // namespace lmms::models
