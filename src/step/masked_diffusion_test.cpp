// A step of masked diffusion: packed and split as one likes, and what it costs.
#include <ATen/TensorOperators.h>
#include <gtest/gtest.h>

#include <cmath>

#include "objectives/masked_diffusion_testing.h"
#include "step/small_steps_testing.h"
#include "step/step_work.h"

namespace lmms::step {
namespace {

using objectives::DiffusionNormalizer;

constexpr int32_t kVocabulary = 32;

nlohmann::json tiny(const char* model_type = "qwen3") {
  return {{"model_type", model_type}, {"vocab_size", kVocabulary},
          {"hidden_size", 16},        {"intermediate_size", 32},
          {"num_hidden_layers", 2},   {"num_attention_heads", 2},
          {"num_key_value_heads", 1}, {"head_dim", 8},
          {"initializer_range", 0.2}, {"tie_word_embeddings", false}};
}

std::vector<data::Sample> samples() {
  std::vector<data::Sample> out;
  for (const int32_t n : {11, 3, 1, 8, 5}) out.push_back(objectives::made_text(n, n, 30));
  return out;
}

class MaskedStep : public testing::TestWithParam<int64_t> {
 protected:
  std::unique_ptr<objectives::Objective> objective(
      const models::Model& model, DiffusionNormalizer normalizer = DiffusionNormalizer::tokens) {
    objectives::ObjectiveSetup setup{.model = model, .tokenizer = &tokenizer_};
    setup.config.masked_diffusion.mask_token = "[MASK]";
    setup.config.masked_diffusion.block_length = GetParam();
    setup.config.masked_diffusion.normalizer = normalizer;
    return masked_diffusion(setup);
  }

  struct Result {
    double loss;
    std::vector<at::Tensor> gradients;
  };
  Result run(TrainState& state, const objectives::Objective& objective,
             const data::StepBatch& batch) {
    const StepWork work = step_work(batch, *state.main().model, objective, at::kCPU);
    const std::vector<std::vector<double>> rates{{0.0}};
    Result out{};
    out.loss = train_step(state, objective, *plain_runner(), work.micro_steps, {}, rates)
                   .loss.item<double>();
    for (const parallel::Bucket& bucket : state.main().memory.buckets)
      out.gradients.push_back(bucket.whole().gradients.clone());
    return out;
  }

  text::Tokenizer tokenizer_ = objectives::letters(kVocabulary);
};

TEST_P(MaskedStep, is_the_same_packed_unpacked_and_accumulated) {
  TrainState state = small_state(tiny(), {});
  for (const auto normalizer : {DiffusionNormalizer::tokens, DiffusionNormalizer::masked}) {
    const auto made = objective(*state.main().model, normalizer);
    const Result whole = run(state, *made, objectives::drawn_step(*made, samples(), true));
    ASSERT_GT(whole.loss, 0);
    for (const size_t rows : {1u, 2u, 5u}) {
      const Result split = run(state, *made, objectives::drawn_step(*made, samples(), false, rows));
      EXPECT_LE(std::abs(split.loss - whole.loss), 2e-6 * whole.loss) << rows;
      for (size_t b = 0; b < whole.gradients.size(); ++b) {
        const double size = whole.gradients[b].norm().item<double>();
        const double apart = (split.gradients[b] - whole.gradients[b]).norm().item<double>();
        EXPECT_LE(apart, 1e-5 * size);
      }
    }
  }
}

/// The pairs of query and key that a sample of n tokens has by its definition.
double pairs(int64_t n, int64_t block_length) {
  if (block_length == 0) return static_cast<double>(n * n);
  const int64_t last = (n - 1) / block_length;
  double count = 0;
  for (int64_t q = 0; q < n; ++q) {
    for (int64_t k = 0; k < n; ++k) {
      const int64_t of_q = q / block_length, of_k = k / block_length;
      count += of_q == of_k;                 // noised, its own block
      count += of_k < of_q;                  // noised, clean blocks before
      count += of_q < last && of_k <= of_q;  // clean; the last is seen by nothing and left out
    }
  }
  return count;
}

TEST_P(MaskedStep, counts_the_flops_of_the_pairs_that_see_each_other) {
  TrainState state = small_state(tiny(), {});
  const models::Model& model = *state.main().model;
  const auto made = objective(model);
  const data::StepBatch batch = objectives::drawn_step(*made, samples(), true);
  constexpr double kPerPair = 12.0 * 2 * 16;  // layers, heads * head_dim
  double all = 0;
  for (const int64_t n : {11, 3, 1, 8, 5}) all += kPerPair * pairs(n, GetParam());
  // tokens that see themselves alone
  const std::vector<int64_t> ones(static_cast<size_t>(batch.tokens), 1);
  const double linear =
      model.train_flops({.lengths = ones, .supervised = batch.supervised_tokens}) -
      kPerPair * static_cast<double>(batch.tokens);
  EXPECT_DOUBLE_EQ(step_work(batch, model, *made, at::kCPU).flops, linear + all);
}

TEST_P(MaskedStep, trains_every_family_and_lowers_the_loss) {
  for (const char* type : {"qwen2", "qwen3", "llama", "qwen3_dllm", "dream_dllm", "llada_dllm"}) {
    TrainState state = small_state(tiny(type), {});
    const auto made = objective(*state.main().model);
    const data::StepBatch batch = objectives::drawn_step(*made, samples(), true);
    const StepWork work = step_work(batch, *state.main().model, *made, at::kCPU);
    const std::vector<std::vector<double>> rates{{1e-2}};
    std::vector<double> losses;
    for (int k = 0; k < 12; ++k) {
      losses.push_back(train_step(state, *made, *plain_runner(), work.micro_steps, {}, rates)
                           .loss.item<double>());
    }
    EXPECT_LT(losses.back(), 0.7 * losses.front()) << type;
  }
}

INSTANTIATE_TEST_SUITE_P(Blocks, MaskedStep, testing::Values(0, 4));

}  // namespace
}  // namespace lmms::step
