#include "models/qwen_vl/qwen_vl.h"

#include <ATen/ops/index_copy.h>

#include "core/error.h"
#include "core/format.h"
#include "models/qwen/qwen.h"
#include "models/registry.h"

namespace lmms::models::qwen_vl {

QwenVl::QwenVl(const nlohmann::json& config, const std::string& where)
    : Model(config),
      settings_(read_config(config, where)),
      tower_(params_, settings_.vision, "visual."),
      decoder_(params_, settings_.text, "model."),
      head_(&qwen::add_head(params_, decoder_, settings_.tied)) {
  // transformers 5 calls its modules so, and some releases wrote files with these names
  params_.also_known("visual.", "model.visual.");
  params_.also_known("model.", "model.language_model.");
}

at::Tensor QwenVl::hidden(const nn::Batch& batch, const nn::RunContext& context) const {
  const at::Tensor embedded = decoder_.embedding()(batch.input_ids);  // [T, H]
  const bool idle = batch.vision.empty();
  if (idle && !batch.run_every_tower) return decoder_.from_embeddings(embedded, batch, context);
  const nn::VisionInput input =
      idle ? tower_.smallest_input(batch.input_ids.device()) : batch.vision;
  at::Tensor features = tower_(input, context).to(embedded.scalar_type());  // [M, H]
  // No row takes the features of the smallest image: the tower runs forward and backward, and its
  // gradient is 0.
  if (idle) features = features.narrow(0, 0, 0);
  if (features.size(0) != input.rows.numel()) {
    throw Error("images",
                fmt::format("{} features for {} pad tokens", features.size(0), input.rows.numel()));
  }
  return decoder_.from_embeddings(at::index_copy(embedded, 0, input.rows, features), batch,
                                  context);
}

double QwenVl::train_flops(const Workload& work) const {
  const bool tower_trains = !work.grids.empty() && tower_.trains();
  return (work.grids.empty() ? 0.0 : tower_.train_flops(work.grids)) +
         decoder_.train_flops(work.lengths, tower_trains) +
         qwen::head_flops(*head_, work.supervised, tower_trains || decoder_.trains());
}

double QwenVl::lmms_engine_flops(const Workload& work) const {
  return qwen::lmms_engine_flops(settings_.text, work);
}

}  // namespace lmms::models::qwen_vl

namespace lmms::models::qwen2_5_vl {

ModelEntry entry() {
  const auto make = [](const nlohmann::json& config,
                       const std::string& where) -> std::unique_ptr<Model> {
    nlohmann::json completed = config;
    if (!completed.contains("architectures"))
      completed["architectures"] = {"Qwen2_5_VLForConditionalGeneration"};
    return std::make_unique<qwen_vl::QwenVl>(completed, where);
  };
  return {"qwen2_5_vl", "Qwen2_5_VLForConditionalGeneration", "Qwen2.5-VL: images, video and text",
          make};
}

}  // namespace lmms::models::qwen2_5_vl
