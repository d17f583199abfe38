#include "core/error.h"
#include "kernels/linear_loss/linear_loss.h"
#include "kernels/scatter_rows/scatter_rows.h"
#include "objectives/objective.h"

namespace lmms::objectives {
namespace {

class NextToken : public Objective {
 public:
  const char* name() const override { return "next_token"; }

  void check(const models::Model& model, const std::string& where) const override {
    if (model.language_model() == nullptr) {
      throw Error(where,
                  "this trainer predicts the next token, and the model has no language head");
    }
  }

  Losses losses(const models::Model& model, const nn::Batch& batch,
                const nn::RunContext& context) const override {
    const models::LanguageModel& lm = *model.language_model();
    const at::Tensor hidden = lm.hidden(batch, context);  // [T, H]
    const at::Tensor h =
        kernels::select_rows(hidden, batch.supervised);  // [N, H]: no logits of untrained positions
    const at::Tensor& W = lm.head().value;
    // weights carry the whole factor of the loss, so dW may go straight into its slot
    kernels::LinearLossOptions options;
    if (lm.head().trainable) options.weight_gradient = W.grad();
    const auto loss = context.kernels.loss == kernels::Form::fused
                          ? &kernels::linear_loss
                          : &kernels::linear_loss_reference;
    return {loss(h, W, batch.targets, batch.weights, options), {}};
  }
};

}  // namespace

std::unique_ptr<Objective> next_token() {
  return std::make_unique<NextToken>();
}

}  // namespace lmms::objectives
