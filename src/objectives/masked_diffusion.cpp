#include "objectives/masked_diffusion.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/argmax.h>
#include <ATen/ops/eq.h>
#include <ATen/ops/ne.h>
#include <ATen/ops/sum.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <limits>
#include <string>
#include <utility>

#include "core/error.h"
#include "core/format.h"
#include "core/log.h"
#include "kernels/scatter_rows/scatter_rows.h"
#include "objectives/masked_diffusion_drawing.h"
#include "text/tokenizer.h"

namespace lmms::objectives {
namespace {

constexpr const char* kMaskTokenSetting = "masked_diffusion.mask_token";
enum TermIndex : size_t { kLossTerm, kNllTerm, kAccuracyTerm, kBoundTerm };

/// Of the tokenizer, ascending.
std::vector<int32_t> special_tokens(const text::Tokenizer& tokenizer) {
  std::vector<int32_t> out = tokenizer.all_special_ids();
  for (const text::AddedToken& token : tokenizer.added_tokens())
    if (token.special) out.push_back(token.id);
  std::sort(out.begin(), out.end());
  out.erase(std::unique(out.begin(), out.end()), out.end());
  return out;
}

/// Rows of logits that are held at once.
constexpr int64_t kLogitRows = 1024;

/// How many of the rows with a weight have their target as the likeliest token.
at::Tensor count_right(const models::LanguageModel& lm, const at::Tensor& h,
                       const at::Tensor& targets, const at::Tensor& counted,
                       const nn::RunContext& context) {
  at::Tensor right = at::zeros({}, counted.options());
  for (int64_t begin = 0; begin < h.size(0); begin += kLogitRows) {
    const int64_t rows = std::min(kLogitRows, h.size(0) - begin);
    const at::Tensor likeliest =
        at::argmax(lm.logits(h.narrow(0, begin, rows), context), /*dim=*/-1);  // [rows]
    const at::Tensor is_right =
        at::eq(likeliest, targets.narrow(0, begin, rows)).to(counted.scalar_type());
    right = right + at::sum(is_right * counted.narrow(0, begin, rows));
  }
  return right;
}

class MaskedDiffusion final : public Objective {
 public:
  MaskedDiffusion(const ObjectiveSetup& setup, MaskedDrawingSettings drawn)
      : config_(setup.config.masked_diffusion),
        mask_token_(drawn.mask_token),
        shifted_(drawn.shifted),
        had_blocks_(setup.model.config().contains(kBlockLengthKey)),
        drawing_(masked_diffusion_drawing(std::move(drawn))),
        phases_{{kMainNetwork, &MaskedDiffusion::run}} {
    // the Python project divides by the masked tokens of the whole step
    const bool bounds =
        config_.normalizer == DiffusionNormalizer::tokens && !setup.options.mean_of_means;
    terms_.push_back({.name = "loss", .counted_as = bounds ? kMaskable : kMasked});
    terms_.push_back({.name = "nll", .counted_as = kMasked, .minimised = false});
    terms_.push_back({.name = "accuracy", .counted_as = kMasked, .minimised = false});
    if (!bounds) terms_.push_back({.name = "bound", .counted_as = kMaskable, .minimised = false});
  }

  const char* name() const override { return "masked_diffusion"; }
  bool is_log_likelihood() const override { return true; }  // a bound
  const std::vector<Phase>& phases() const override { return phases_; }
  const std::vector<Term>& terms() const override { return terms_; }
  std::shared_ptr<const data::Drawing> drawing() const override { return drawing_; }
  int64_t evaluation_passes() const override { return config_.eval_draws; }

  void check(const models::Model& model, const std::string& where) const override {
    if (model.language_model() == nullptr)
      throw Error(where, "this trainer tells masked tokens, and the model has no language head");
  }

  nlohmann::json checkpoint_config() const override {
    nlohmann::json out = {{kMaskTokenKey, mask_token_}};
    if (config_.block_length > 0 || had_blocks_) out[kBlockLengthKey] = config_.block_length;
    if (shifted_) out[kShiftKey] = true;
    return out;
  }

  void evaluate(StepContext& context) const override {
    const nn::Batch& batch = context.batch();
    const models::LanguageModel& lm = *context.model(kMainNetwork).language_model();
    const at::Tensor h = masked_hidden(context);
    const at::Tensor log_p = lm.log_probabilities(h, batch.targets, context.run());  // [N]
    const at::Tensor counted = at::ne(batch.weights, 0).to(log_p.scalar_type());     // no pads
    const at::Tensor loss = -at::sum(log_p * batch.weights);
    context.backward(loss);
    context.add(kLossTerm, loss);
    context.add(kNllTerm, -at::sum(log_p * counted));
    context.add(kAccuracyTerm, count_right(lm, h, batch.targets, counted, context.run()));
    if (terms_.size() > kBoundTerm) context.add(kBoundTerm, loss);
  }

 private:
  /// [N, H] of the positions whose logits tell a masked token.
  static at::Tensor masked_hidden(StepContext& context) {
    const models::LanguageModel& lm = *context.model(kMainNetwork).language_model();
    const at::Tensor hidden = lm.hidden(context.batch(), context.run()).hidden;  // [T, H]
    return kernels::select_rows(hidden, context.batch().supervised);
  }

  // Apart from backward, during which nothing but the graph may hold hidden states.
  static at::Tensor loss(StepContext& context) {
    const models::LanguageModel& lm = *context.model(kMainNetwork).language_model();
    const nn::Batch& batch = context.batch();
    return lm.loss(masked_hidden(context), batch.targets, batch.weights, context.loss_options(),
                   context.run());
  }

  static void run(StepContext& context) { context.backward(loss(context)); }

  MaskedDiffusionConfig config_;
  int32_t mask_token_;
  bool shifted_, had_blocks_;
  std::shared_ptr<const data::Drawing> drawing_;
  std::vector<Phase> phases_;
  std::vector<Term> terms_;
};

/// Throws Error unless the id is a row of the model's embeddings.
int32_t checked(int64_t id, int64_t vocab, const std::string& where, const std::string& token) {
  if (id >= 0 && id < vocab) return static_cast<int32_t>(id);
  throw Error(where,
              fmt::format("the mask token {} has id {}, and the model's vocabulary ends at {}",
                          token, id, vocab - 1),
              "name another token of the tokenizer as masked_diffusion.mask_token, or raise "
              "vocab_size of a model made from its config");
}

}  // namespace

int32_t mask_token_of(const ObjectiveSetup& setup) {
  const text::Tokenizer& tokenizer = *setup.tokenizer;
  const int64_t vocab = setup.model.language_model()->vocab_size();
  const std::string where = setup.where(kMaskTokenSetting);
  if (const auto& named = setup.config.masked_diffusion.mask_token) {
    const auto id = tokenizer.id(*named);
    if (!id) {
      throw Error(where, fmt::format("'{}' is no token of the tokenizer", *named),
                  "name one of its tokens, or leave the key out: then an id that the tokenizer "
                  "leaves free is taken");
    }
    return checked(*id, vocab, where, fmt::format("'{}'", *named));
  }
  const auto stated = setup.model.config().find(kMaskTokenKey);
  if (stated != setup.model.config().end() && stated->is_number_integer())
    return checked(stated->get<int64_t>(), vocab, where, "of config.json");
  if (const auto id = tokenizer.role("mask_token"))
    return checked(*id, vocab, where, "of the tokenizer");
  const int64_t last = std::min<int64_t>(vocab, std::numeric_limits<int32_t>::max());
  for (int64_t id = 0; id < last; ++id)
    if (!tokenizer.token(static_cast<int32_t>(id))) return static_cast<int32_t>(id);
  throw Error(
      where,
      fmt::format("the tokenizer has no mask token, and none of the model's {} ids is free", vocab),
      "name a token that your texts do not hold (a reserved one) as "
      "masked_diffusion.mask_token, or raise vocab_size of a model made from its config");
}

std::unique_ptr<Objective> masked_diffusion(const ObjectiveSetup& setup) {
  const MaskedDiffusionConfig& c = setup.config.masked_diffusion;
  if (setup.model.language_model() == nullptr) {
    throw Error(setup.where("masked_diffusion"),
                "this trainer tells masked tokens, and the model has no language head");
  }
  if (setup.tokenizer == nullptr) {
    throw Error(setup.where("masked_diffusion"),
                "masks stand for tokens, and the data are no texts", "take a processor of texts");
  }
  if (c.t_min > c.t_max) {
    throw Error(setup.where("masked_diffusion.t_min"),
                fmt::format("{} is more than t_max, {}", c.t_min, c.t_max),
                "t is drawn between t_min and t_max");
  }
  MaskedDrawingSettings drawn{.mask_token = mask_token_of(setup),
                              .special_tokens = special_tokens(*setup.tokenizer),
                              .end_token = setup.tokenizer->eos(),
                              .config = c};
  const auto shift = setup.model.config().find(kShiftKey);
  drawn.shifted = shift != setup.model.config().end() && shift->is_boolean() && shift->get<bool>();
  if (drawn.shifted && c.block_length > 0) {
    throw Error(setup.where("masked_diffusion.block_length"),
                "not built for a model whose logits tell the token behind their position "
                "(config.json: diffusion_shift)",
                "leave it out");
  }
  const auto blocks = setup.model.config().find(kBlockLengthKey);
  if (blocks != setup.model.config().end() && *blocks != c.block_length) {
    log::notice(
        fmt::format("{}: {}; the model was trained on blocks of {} tokens (config.json: {})",
                    setup.where("masked_diffusion.block_length"), c.block_length, blocks->dump(),
                    kBlockLengthKey));
  }
  return std::make_unique<MaskedDiffusion>(setup, std::move(drawn));
}

ObjectiveEntry masked_diffusion_entry() {
  return {.make = masked_diffusion,
          .terms = {"nll", "accuracy"},
          .draws = true,
          .is_log_likelihood = true};
}

}  // namespace lmms::objectives
