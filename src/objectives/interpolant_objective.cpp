#include "objectives/interpolant_objective.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/full.h>
#include <ATen/ops/zeros.h>
#include <c10/core/GradMode.h>

#include <vector>

#include "core/error.h"
#include "core/log.h"
#include "data/latents.h"
#include "models/autoencoder.h"
#include "models/denoiser.h"
#include "objectives/interpolant.h"
#include "objectives/interpolant_drawing.h"

namespace lmms::objectives {
namespace {

// S samples of n values each: P tokens of W values; C planes of h x w.

/// [S, C, h, w] -> [S, n], as the tokens of LatentShape lie.
at::Tensor as_tokens(const at::Tensor& planes, const models::LatentShape& shape) {
  const int64_t p = shape.patch;
  return planes.reshape({planes.size(0), shape.channels, shape.rows(), p, shape.columns(), p})
      .permute({0, 2, 4, 1, 3, 5})
      .reshape({planes.size(0), shape.values()});
}

/// Data of kPixels: a latent from the posterior of each image, [S, n].
at::Tensor encoded(const StepContext& context, const nn::MediaInput& pixels,
                   const models::LatentShape& shape) {
  const c10::NoGradGuard no_grad;
  const models::Autoencoder& autoencoder = *context.model(kAutoencoder).autoencoder();
  const int64_t S = pixels.values.size(0), stride = autoencoder.stride();
  const models::Posterior posterior = autoencoder.encode(
      pixels.values.view({S, -1, shape.height * stride, shape.width * stride}), context.run());
  const at::Tensor drawn =
      context.batch().extras.at(data::kPosterior).values.view(posterior.mean.sizes());
  return as_tokens(
      (posterior.mean + posterior.deviation * drawn - autoencoder.shift()) * autoencoder.scale(),
      shape);
}

/// x1 [S, n].
at::Tensor data_of(const StepContext& context, const models::LatentShape& shape) {
  const nn::Batch& batch = context.batch();
  const nn::MediaInput* pixels = batch.media.find(data::kPixels);
  if (pixels != nullptr && !pixels->empty()) return encoded(context, *pixels, shape);
  return batch.media.of(data::kLatents).values.view({-1, shape.values()});
}

/// Settings of the model's config that its prediction has no use for.
void tell_idle_settings(const models::TransportConfig& transport) {
  if (transport.prediction != models::Prediction::velocity) return;
  if (transport.weighting != models::LossWeighting::none)
    log::notice("loss_weight: not used: the error of a velocity has no weight");
  if (transport.path != models::InterpolantPath::vp && transport.train_eps.value_or(0) > 0)
    log::notice("train_eps: not used: a velocity on this path is finite at all times");
}

class InterpolantObjective final : public Objective {
 public:
  explicit InterpolantObjective(const ObjectiveSetup& setup)
      : config_(setup.config.interpolant), phases_{{kMainNetwork, &InterpolantObjective::run}} {
    terms_.push_back(
        {.name = "loss",
         .counted_as = data::kImages,
         .mean = setup.options.mean_of_means ? MeanOver::micro_steps : MeanOver::step});
    check(setup.model, setup.where("interpolant"));
    const models::Denoiser& denoiser = *setup.model.denoiser();
    tell_idle_settings(denoiser.transport());
    if (const std::string path = denoiser.autoencoder_path(); !path.empty() && !setup.encoded)
      references_ = {{kAutoencoder, path, "vae_path"}};
    drawing_ = interpolant_drawing({.shape = denoiser.shape(),
                                    .times = training_interval(denoiser.transport()),
                                    .classes = denoiser.classes(),
                                    .class_dropout = denoiser.class_dropout(),
                                    .flip = config_.flip});
  }

  const char* name() const override { return "interpolant"; }
  const std::vector<Phase>& phases() const override { return phases_; }
  const std::vector<Term>& terms() const override { return terms_; }
  std::shared_ptr<const data::Drawing> drawing() const override { return drawing_; }
  bool needs_targets() const override { return false; }
  std::vector<Reference> references() const override { return references_; }
  int64_t evaluation_passes() const override { return config_.eval_draws; }

  void check(const models::Model& model, const std::string& where) const override {
    if (model.denoiser() == nullptr)
      throw Error(where, "this trainer teaches denoisers, and the model is none",
                  "take a model such as sit (`lmms list`), or another trainer_type");
  }

 private:
  static void run(StepContext& context) {
    const bool has_images = context.batch().extras.contains(data::kTime);
    context.backward(has_images ? loss(context) : loss_of_none(context));
  }

  /// Other ranks have images in this micro-step: the same modules run, for a loss of 0.
  static at::Tensor loss_of_none(StepContext& context) {
    const models::Denoiser& denoiser = *context.model(kMainNetwork).denoiser();
    const models::LatentShape shape = denoiser.shape();
    const at::Device device = context.batch().input_ids.device();
    const auto fp32 = at::TensorOptions(device).dtype(at::kFloat);
    const at::Tensor predicted =
        denoiser.predict({.x = at::zeros({shape.patches(), shape.patch_values()}, fp32),
                          .t = at::full({1}, 0.5, fp32),
                          .classes = at::zeros({1}, fp32.dtype(at::kLong)),
                          .attention = kernels::attention_plan(
                              std::vector<int64_t>{shape.patches()}, device, AttentionMode::full)},
                         context.run());
    return predicted.sum() * 0;
  }

  static at::Tensor loss(StepContext& context) {
    const models::Denoiser& denoiser = *context.model(kMainNetwork).denoiser();
    const models::TransportConfig transport = denoiser.transport();
    const models::LatentShape shape = denoiser.shape();
    const nn::Batch& batch = context.batch();
    const at::Tensor t = batch.extras.at(data::kTime).values;  // [S]
    const at::Tensor x1 = data_of(context, shape);
    const at::Tensor x0 = batch.extras.at(data::kNoise).values.view(x1.sizes());
    const PathAt<at::Tensor> at = path_at(transport.path, t.unsqueeze(1));  // [S, 1] each
    const int64_t S = x1.size(0), P = S * shape.patches(), T = batch.input_ids.size(0);
    at::Tensor x = (at.alpha * x1 + at.sigma * x0).view({P, shape.patch_values()});
    if (T > P) x = at::cat({x, x.new_zeros({T - P, shape.patch_values()})});  // the pad
    const at::Tensor predicted =
        denoiser.predict({.x = x,
                          .t = t,
                          .classes = batch.extras.at(data::kClass).values.to(at::kLong),
                          .attention = batch.attention},
                         context.run());
    const at::Tensor error = weighted_error(
        transport, predicted.narrow(0, 0, P).reshape({S, shape.values()}), x0, x1, at);
    return error.mean(1).sum() / context.denominator(0);
  }

  InterpolantConfig config_;
  std::vector<Phase> phases_;
  std::vector<Term> terms_;
  std::shared_ptr<const data::Drawing> drawing_;
  std::vector<Reference> references_;
};

}  // namespace

std::unique_ptr<Objective> interpolant(const ObjectiveSetup& setup) {
  return std::make_unique<InterpolantObjective>(setup);
}

ObjectiveEntry interpolant_entry() {
  return {.make = interpolant, .draws = true};
}

}  // namespace lmms::objectives
