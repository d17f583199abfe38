#include "core/error.h"
#include "kernels/scatter_rows/scatter_rows.h"
#include "objectives/masked_diffusion.h"
#include "objectives/objective.h"

namespace lmms::objectives {
namespace {

class NextToken : public Objective {
 public:
  explicit NextToken(const ObjectiveOptions& options)
      : phases_{{kMainNetwork, &NextToken::run}},
        terms_{{.name = "loss",
                .mean = options.mean_of_means ? MeanOver::micro_steps : MeanOver::step}} {}

  const char* name() const override { return "next_token"; }
  bool is_log_likelihood() const override { return true; }
  const std::vector<Phase>& phases() const override { return phases_; }
  const std::vector<Term>& terms() const override { return terms_; }

  // of a model that was trained to fill in masks, and is not from here on
  nlohmann::json checkpoint_config() const override {
    return {{kMaskTokenKey, nullptr}, {kBlockLengthKey, nullptr}, {kShiftKey, nullptr}};
  }

  void check(const models::Model& model, const std::string& where) const override {
    if (model.language_model() == nullptr) {
      throw Error(where,
                  "this trainer predicts the next token, and the model has no language head");
    }
  }

 private:
  static void run(StepContext& context) { context.backward(loss(context)); }

  // Apart from backward, during which nothing but the graph may hold hidden states.
  static at::Tensor loss(StepContext& context) {
    const models::LanguageModel& lm = *context.model(kMainNetwork).language_model();
    const nn::Batch& batch = context.batch();
    const at::Tensor hidden = lm.hidden(batch, context.run()).hidden;  // [T, H]
    // [N, H]: no logits of untrained positions
    const at::Tensor h = kernels::select_rows(hidden, batch.supervised);
    return lm.loss(h, batch.targets, batch.weights, context.loss_options(), context.run());
  }

  std::vector<Phase> phases_;
  std::vector<Term> terms_;
};

}  // namespace

std::unique_ptr<Objective> next_token(const ObjectiveOptions& options) {
  return std::make_unique<NextToken>(options);
}

}  // namespace lmms::objectives
