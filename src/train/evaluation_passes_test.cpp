// Evaluations of an objective that draws: the mean of several passes, the same every time.
#include <gtest/gtest.h>

#include "data/data_testing.h"
#include "objectives/masked_diffusion_testing.h"
#include "step/small_steps_testing.h"
#include "train/evaluation.h"

namespace lmms::train {
namespace {

class MaskedEvaluation : public testing::Test {
 protected:
  EvaluationResult run(int64_t draws, uint64_t seed,
                       objectives::DiffusionNormalizer normalizer = {}) {
    const models::Model& model = *state_.main().model;
    objectives::ObjectiveSetup setup{.model = model, .tokenizer = &tokenizer_};
    setup.config.masked_diffusion.mask_token = "[MASK]";
    setup.config.masked_diffusion.eval_draws = draws;
    setup.config.masked_diffusion.normalizer = normalizer;
    const auto objective = masked_diffusion(setup);
    EvaluationData data;
    data.dataset = data::made_dataset({9, 4, 1, 12, 7}, /*shuffle=*/false);
    data.processor = std::make_shared<data::MadeProcessor>(/*keeps=*/false);
    data.options.global_rows = data.options.rows_per_micro_step = 3;
    data.options.epochs = 1;
    data.options.end_if_all_skipped = false;
    objectives::set_loading(*objective, seed, data.options);
    return *evaluate({model, at::kCPU, {}}, *objective, data);
  }

  text::Tokenizer tokenizer_ = objectives::letters(32);
  step::TrainState state_ = step::small_state({{"model_type", "qwen3_dllm"},
                                               {"vocab_size", 32},
                                               {"hidden_size", 16},
                                               {"intermediate_size", 32},
                                               {"num_hidden_layers", 1},
                                               {"num_attention_heads", 2},
                                               {"num_key_value_heads", 1},
                                               {"head_dim", 8}},
                                              {});
};

TEST_F(MaskedEvaluation, is_the_mean_of_its_passes_and_the_same_every_time) {
  const EvaluationResult three = run(3, 5);
  EXPECT_EQ(run(3, 5).loss, three.loss);
  EXPECT_EQ(run(3, 5).terms, three.terms);
  EXPECT_NE(run(3, 6).loss, three.loss);
  double mean = 0;
  for (uint64_t pass = 0; pass < 3; ++pass) mean += run(1, 5 + pass * 0x9E3779B97F4A7C15u).loss / 3;
  EXPECT_NEAR(three.loss, mean, 1e-12 * mean);
  EXPECT_EQ(three.samples, 4);  // of one pass; the one of a single token has no target
  EXPECT_EQ(three.tokens, 32);
}

TEST_F(MaskedEvaluation, tells_nll_accuracy_and_where_the_loss_is_none_the_bound) {
  const EvaluationResult tokens = run(2, 5);
  EXPECT_EQ(tokens.terms.size(), 2U);
  EXPECT_GT(tokens.terms.at("nll"), 0);
  EXPECT_DOUBLE_EQ(*tokens.perplexity(), std::exp(tokens.loss));
  const EvaluationResult masked = run(2, 5, objectives::DiffusionNormalizer::masked);
  EXPECT_DOUBLE_EQ(masked.terms.at("bound"), tokens.loss);
  EXPECT_GT(masked.loss, tokens.loss);
  EXPECT_DOUBLE_EQ(*masked.perplexity(), std::exp(tokens.loss));
}

}  // namespace
}  // namespace lmms::train
