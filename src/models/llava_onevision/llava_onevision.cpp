#include "models/llava_onevision/llava_onevision.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/embedding.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>
#include <c10/util/StringUtil.h>

#include <cmath>

#include "core/error.h"
#include "core/format.h"
#include "kernels/on_device.h"
#include "kernels/scatter_rows/scatter_rows.h"
#include "models/llava_onevision/packing.h"
#include "models/llava_onevision/processor.h"
#include "models/lmms_engine_flops.h"
#include "models/registry.h"
#include "nn/param_builder.h"

namespace lmms::models::llava_onevision {

using kernels::on_device;

namespace {
constexpr const char* kArchitecture = "LlavaOnevisionForConditionalGeneration";
}  // namespace

LlavaOnevision::LlavaOnevision(const nlohmann::json& config, const std::string& where)
    : Model(config, kArchitecture),
      settings_(read_config(config_, where, &keys_read_)),
      tower_(params_, settings_.vision, "vision_tower.vision_model."),
      decoder_(params_, settings_.text, "language_model.model.") {
  const int64_t H = settings_.text.hidden_size;
  const std::string name = "multi_modal_projector";
  const nn::ParamBuilder build{params_, name, name + ".", settings_.text.initializer_range};
  projector_in_ =
      build.linear("linear_1", settings_.vision.hidden_size, H, settings_.projector_bias);
  projector_out_ = build.linear("linear_2", H, H, settings_.projector_bias);
  newline_ = &params_.add(name, "image_newline", {H},
                          {nn::Init::Law::normal, 1 / std::sqrt(static_cast<double>(H)), -1},
                          nn::ParamClass::vector);
  head_ = nn::add_head(params_, decoder_, settings_.tied, "language_model.");
  // transformers 5.17 calls its modules by the second of each, older releases of version 5 by the
  // third
  params_.also_known("language_model.model.", "model.language_model.");
  params_.also_known("language_model.lm_head.", "lm_head.");
  params_.also_known("vision_tower.vision_model.", "model.vision_tower.");
  params_.also_known("vision_tower.", "model.vision_tower.");
  params_.also_known("multi_modal_projector.", "model.multi_modal_projector.");
  params_.also_known("image_newline", "model.image_newline");
  // and reads these: the tower's as 5.17 writes it, the language model's of a base model, and any
  // name with its model's prefix once too often
  params_.also_read("vision_tower.vision_model.", "vision_tower.");
  params_.also_read("vision_tower.vision_model.", "model.model.vision_tower.");
  params_.also_read("language_model.model.", "language_model.");
  params_.also_read("language_model.model.", "model.language_model.model.");
  params_.also_read("language_model.model.", "model.model.language_model.");
  params_.also_read("language_model.lm_head.", "model.lm_head.");
  params_.also_read("multi_modal_projector.", "model.model.multi_modal_projector.");
  params_.also_read("image_newline", "model.model.image_newline");
}

void LlavaOnevision::check(const nn::MediaInput& input) const {
  int64_t patches = 0;
  for (const PatchGrid& g : input.grids) patches += g.patches();
  const at::IntArrayRef sizes = input.values.sizes();
  if (sizes.size() == 2 && sizes[0] == patches && sizes[1] == settings_.vision.patch_width())
    return;
  throw Error(
      "images",
      fmt::format("the grids hold {} patches and the model takes {} values a patch; pixel_values "
                  "are {}",
                  patches, settings_.vision.patch_width(), c10::str(sizes)),
      "use the processor that belongs to the model");
}

at::Tensor LlavaOnevision::projected(const at::Tensor& hidden, const nn::UnitRun& how) const {
  return projector_out_.after(kernels::Activation::gelu_erf, projector_in_(hidden), how);
}

at::Tensor LlavaOnevision::features(const nn::MediaInput& input,
                                    const nn::RunContext& context) const {
  const Packing packing = plan_packing(input.grids, input.layouts, settings_.tiles);
  check(input);
  const at::Device device = input.values.device();
  const at::Tensor seen = tower_(input.values, context);  // [P, hidden_size of the tower]
  const nn::Scope projector = nn::scope(context, newline_->unit);
  const at::Tensor whole = projected(seen, projector.how());  // [P, H]
  const int64_t H = whole.size(1);
  // Pieces one kind after another, then in order. No index repeats where gradients are added up in
  // an order that is left to chance.
  std::vector<at::Tensor> pieces{
      whole.index_select(0, on_device(packing.taken, at::kLong, device)),  // [K, H]
  };
  if (!packing.mixed.empty()) {
    const at::Tensor around =
        at::embedding(whole, on_device(packing.mixed, at::kLong, device).view({-1, 4}));
    const at::Tensor weights = on_device(packing.weights, at::kFloat, device).view({-1, 4, 1});
    pieces.push_back((around * weights).sum(1).to(whole.scalar_type()));  // [X, H], summed in fp32
  }
  pieces.push_back(newline_->value().expand({packing.newlines, H}));
  return at::cat(pieces).index_select(0, on_device(packing.order, at::kLong, device));  // [M, H]
}

nn::Hidden LlavaOnevision::hidden(const nn::Batch& batch, const nn::RunContext& context) const {
  const at::Tensor embedded = decoder_.embed(batch, context);  // [T, H]
  const nn::MediaInput* seen = batch.media.find(kVision);
  if (!seen) return decoder_.from_embeddings(embedded, batch, context);
  const bool idle = seen->empty();
  const nn::MediaInput input = idle ? smallest_input(batch.input_ids.device()) : *seen;
  at::Tensor taken = features(input, context);
  // No row takes the features of a black view: the tower runs forward and backward, and its
  // gradient is 0.
  if (idle) taken = taken.narrow(0, 0, 0);
  if (taken.size(0) != input.rows.numel()) {
    throw Error("images", fmt::format("{} features for {} image and video tokens", taken.size(0),
                                      input.rows.numel()));
  }
  return decoder_.from_embeddings(
      kernels::place_rows(embedded, input.rows, taken.to(embedded.scalar_type())), batch, context);
}

nn::MediaInput LlavaOnevision::smallest_input(at::Device device) const {
  const siglip::Config& c = settings_.vision;
  const auto options = at::TensorOptions().dtype(at::kFloat).device(device);
  return {std::string(kVision),
          at::zeros({c.view_patches(), c.patch_width()}, options),
          {{1, c.side(), c.side()}},
          {ViewLayout{}},
          at::empty({0}, options.dtype(at::kLong))};
}

bool LlavaOnevision::projector_trains() const {
  return projector_in_.trains() || projector_out_.trains() || newline_->trainable;
}

double LlavaOnevision::train_flops(const Workload& work) const {
  nn::ChainFlops chain;
  bool vision_trains = false;
  if (!work.grids(kVision).empty()) {
    double patches = 0;
    for (const PatchGrid& g : work.grids(kVision)) patches += static_cast<double>(g.patches());
    tower_.count(chain, patches / static_cast<double>(settings_.vision.view_patches()));
    chain.product(*projector_in_.weight, patches);
    chain.product(*projector_out_.weight, patches);
    vision_trains = tower_.trains() || projector_trains();
  }
  return chain.flops + decoder_.train_flops(work.lengths, vision_trains, work.extra_pairs) +
         head_.train_flops(work.supervised, vision_trains || decoder_.trains());
}

double LlavaOnevision::lmms_engine_flops(const Workload& work) const {
  return models::lmms_engine_flops(settings_.text, work);
}

ModelEntry entry() {
  return {"llava_onevision", kArchitecture, "LLaVA-OneVision: images, video and text",
          [](const nlohmann::json& config, const std::string& where) -> std::unique_ptr<Model> {
            return std::make_unique<LlavaOnevision>(config, where);
          },
          processor};
}

}  // namespace lmms::models::llava_onevision
