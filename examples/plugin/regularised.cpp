// Next token with two regularisers: label smoothing (Szegedy et al. 2016, section 7) and z-loss,
// which holds the logits near a sum of 1 (Chowdhery et al. 2022, section 5). Metrics and
// evaluations also tell the plain cross entropy, which says how good the model is.
#include <ATen/TensorOperators.h>
#include <ATen/ops/sum.h>
#include <c10/core/GradMode.h>

#include "core/error.h"
#include "kernels/scatter_rows/scatter_rows.h"
#include "parts.h"

namespace dates {
namespace {

using namespace lmms::objectives;
using lmms::Error;

struct Strengths {
  double label_smoothing = 0.1, z_loss = 1e-4;
};

Strengths read_strengths(const ObjectiveSetup& setup) {
  Strengths out;
  const std::string where = setup.where("objective_kwargs");
  if (setup.config.kwargs.map() == nullptr) return out;
  for (const auto& [name, value] : *setup.config.kwargs.map()) {
    double* target = name == "label_smoothing" ? &out.label_smoothing
                     : name == "z_loss"        ? &out.z_loss
                                               : nullptr;
    if (target == nullptr)
      throw Error(where, name + ": unknown key; expected label_smoothing or z_loss");
    if (const auto* number = std::get_if<double>(&value.data))
      *target = *number;
    else if (const auto* whole = std::get_if<int64_t>(&value.data))
      *target = static_cast<double>(*whole);
    else
      throw Error(where, name + ": expected a number");
  }
  if (out.label_smoothing < 0 || out.label_smoothing >= 1)
    throw Error(where, "label_smoothing: expected a number in [0, 1)");
  if (out.z_loss < 0) throw Error(where, "z_loss: expected a number >= 0");
  return out;
}

class Regularised final : public Objective {
 public:
  Regularised(const ObjectiveSetup& setup)
      : strengths_(read_strengths(setup)),
        phases_{{kMainNetwork, [this](StepContext& context) { run(context); }}},
        terms_{{.name = "regularised", .mean = mean(setup)},
               {.name = "cross_entropy", .mean = mean(setup), .minimised = false}} {}

  const char* name() const override { return "regularised"; }
  const std::vector<Phase>& phases() const override { return phases_; }
  const std::vector<Term>& terms() const override { return terms_; }

  void check(const lmms::models::Model& model, const std::string& where) const override {
    if (model.language_model() == nullptr)
      throw Error(where, "this trainer predicts the next token, and the model has no head for it");
  }

 private:
  static MeanOver mean(const ObjectiveSetup& setup) {
    return setup.options.mean_of_means ? MeanOver::micro_steps : MeanOver::step;
  }

  void run(StepContext& context) const {
    const auto& lm = *context.model(kMainNetwork).language_model();
    const auto& batch = context.batch();
    const at::Tensor hidden = lm.hidden(batch, context.run()).hidden;           // [T, H]
    const at::Tensor h = lmms::kernels::select_rows(hidden, batch.supervised);  // [N, H]
    at::Tensor plain;
    {
      const c10::NoGradGuard none;
      const at::Tensor log_p = lm.log_probabilities(h, batch.targets, context.run());  // [N]
      plain = -at::sum(log_p * batch.weights);
    }
    lmms::kernels::LinearLossOptions options = context.loss_options();
    options.label_smoothing = strengths_.label_smoothing;
    options.z_loss = strengths_.z_loss;
    const at::Tensor loss = lm.loss(h, batch.targets, batch.weights, options, context.run());
    context.backward(loss);
    context.add(0, loss);
    context.add(1, plain);
  }

  Strengths strengths_;
  std::vector<Phase> phases_;
  std::vector<Term> terms_;
};

}  // namespace

ObjectiveEntry regularised() {
  return {.make = [](const ObjectiveSetup& setup) -> std::unique_ptr<Objective> {
            return std::make_unique<Regularised>(setup);
          },
          .terms = {"cross_entropy"}};
}

}  // namespace dates
