#include "generate/unmasking.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/softmax.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/topk.h>
#include <c10/core/GradMode.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>

#include "core/error.h"
#include "core/rng.h"
#include "generate/generation.h"
#include "models/registry_testing.h"
#include "nn/memory.h"

namespace lmms::generate {
namespace {

using testing::HasSubstr;
using Ids = std::vector<int32_t>;
using Drafts = std::vector<Ids>;  // of one text, before the first step and behind each

constexpr int32_t kMask = 47;

/// A model of random weights whose predictions depend on where and beside what a mask stands.
class UnmaskingTest : public testing::Test {
 protected:
  UnmaskingTest() {
    const nlohmann::json config = {{"model_type", "qwen3"},
                                   {"vocab_size", 48},
                                   {"hidden_size", 32},
                                   {"intermediate_size", 64},
                                   {"num_hidden_layers", 2},
                                   {"num_attention_heads", 2},
                                   {"num_key_value_heads", 1},
                                   {"head_dim", 16},
                                   {"tie_word_embeddings", false},
                                   {"initializer_range", 0.3},
                                   {"max_position_embeddings", 512}};
    model_ = models::model_entry(config, "test").make(config, "test");
    memory_ = nn::allocate(model_->params(), {});
    nn::initialise(model_->params(), memory_, 5);
    options_.unmasking = UnmaskingOptions{.mask_id = kMask};
    options_.max_new_tokens = 12;
  }

  UnmaskingOptions& unmasking() { return *options_.unmasking; }
  step::ForwardModel forward() const { return {*model_, at::kCPU, {}}; }

  std::vector<Generated> run(const std::vector<Ids>& prompts, const GenerationHooks& hooks = {}) {
    std::vector<data::Sample> samples;
    for (const Ids& ids : prompts) samples.push_back(text_prompt(ids));
    return generate(forward(), samples, options_, hooks);
  }
  std::map<size_t, Drafts> drafts(const std::vector<Ids>& prompts) {
    std::map<size_t, Drafts> out;
    GenerationHooks hooks;
    hooks.draft = [&](size_t b, std::span<const int32_t> ids) {
      out[b].emplace_back(ids.begin(), ids.end());
    };
    run(prompts, hooks);
    return out;
  }

  // Logits [n, V] of a text that sees itself whole.
  at::Tensor logits(const Ids& ids) const {
    const c10::NoGradGuard no_grad;
    nn::Batch batch;
    batch.input_ids = at::tensor(ids, at::kInt);
    Ids positions(ids.size());
    std::iota(positions.begin(), positions.end(), 0);
    batch.position_ids = at::tensor(positions, at::kInt);
    batch.attention =
        kernels::attention_plan({static_cast<int64_t>(ids.size())}, at::kCPU, AttentionMode::full);
    const models::LanguageModel& model = *model_->language_model();
    return model.logits(model.hidden(batch, {}).hidden, {}).to(at::kFloat);
  }

  Drafts reference(const Ids& prompt, int64_t number);

  std::unique_ptr<models::Model> model_;
  nn::ModelMemory memory_;
  GenerationOptions options_;
};

// The procedure word by word, for one prompt: whole logits at every step, one mask after another.
Drafts UnmaskingTest::reference(const Ids& prompt, int64_t number) {
  const UnmaskingOptions& u = unmasking();
  const auto P = static_cast<int64_t>(prompt.size());
  const int64_t N = options_.max_new_tokens, L = u.block_length > 0 ? u.block_length : N;
  const int64_t steps = u.steps > 0 ? u.steps : N;
  Ids text = prompt;
  text.resize(static_cast<size_t>(P + N), kMask);
  const auto answer = [&] { return Ids(text.begin() + P, text.end()); };
  Drafts out{answer()};
  uint32_t step = 0;
  for (int64_t block = 0; block < N / L; ++block) {
    const int64_t in_block = steps / (N / L);
    for (int64_t s = 0; s < in_block; ++s, ++step) {
      at::Tensor all = logits(text);
      if (u.guidance != 1) {
        Ids without = text;
        std::fill(without.begin(), without.begin() + P, kMask);
        const at::Tensor other = logits(without);
        all = other + u.guidance * (all - other);
      }
      struct Choice {
        double score, probability;
        int64_t position;
        int32_t id;
      };
      std::vector<Choice> choices;
      for (int64_t i = P + block * L; i < P + (block + 1) * L; ++i) {
        if (text[static_cast<size_t>(i)] != kMask) continue;
        at::Tensor row = all[u.shifted ? i - 1 : i].clone();
        row[kMask] = -1e30;
        const at::Tensor p = at::softmax(row, -1);
        const auto draw = [&](uint32_t what) {
          return rng::unit(
              rng::philox({static_cast<uint32_t>(number), step, static_cast<uint32_t>(i), what},
                          rng::key(options_.sampling.seed, rng::Purpose::sampling))[0]);
        };
        auto id = row.argmax().item<int64_t>();
        if (options_.sampling.temperature > 0) {
          // the inverse of the cumulative probabilities of the most likely ones
          const at::Tensor warm = at::softmax(row / options_.sampling.temperature, -1);
          auto [values, ids] = at::topk(warm, options_.sampling.top_k);
          values = values / values.sum();
          double sum = 0;
          for (int64_t k = 0; k < values.size(0); ++k) {
            sum += values[k].item<double>();
            id = ids[k].item<int64_t>();
            if (sum >= draw(0)) break;
          }
        }
        const auto best = std::get<0>(at::topk(p, 2));
        double entropy = 0;
        for (int64_t k = 0; k < 47; ++k)
          entropy -= p[k].item<double>() * std::log(p[k].item<double>());
        const double probability = p[id].item<double>();
        const double score = u.remasking == Remasking::random ? draw(1)
                             : u.remasking == Remasking::low_margin
                                 ? (best[0] - best[1]).item<double>()
                             : u.remasking == Remasking::high_entropy ? -entropy
                                                                      : probability;
        choices.push_back({score, probability, i, static_cast<int32_t>(id)});
      }
      if (choices.empty()) break;
      std::sort(choices.begin(), choices.end(),
                [](const Choice& a, const Choice& b) { return a.score > b.score; });
      const int64_t most = L / in_block + (s < L % in_block);
      for (size_t k = 0; k < choices.size(); ++k) {
        const bool sure =
            u.confidence_threshold && choices[k].probability >= *u.confidence_threshold;
        if (static_cast<int64_t>(k) < most || sure)
          text[static_cast<size_t>(choices[k].position)] = choices[k].id;
      }
      out.push_back(answer());
    }
  }
  return out;
}

struct Case {
  const char* name;
  UnmaskingOptions unmasking;
  SamplingOptions sampling = {};
};

class Procedure : public UnmaskingTest, public testing::WithParamInterface<Case> {};

TEST_P(Procedure, equals_a_plain_one_step_by_step) {
  unmasking() = GetParam().unmasking;
  unmasking().mask_id = kMask;
  options_.sampling = GetParam().sampling;
  options_.first_prompt = 3;
  const std::vector<Ids> prompts = {{3, 1, 4, 1, 5}, {9}, {2, 6, 5, 3, 5, 8, 9, 7, 9, 3, 2}};
  const auto ours = drafts(prompts);
  for (size_t b = 0; b < prompts.size(); ++b) {
    const Drafts expected = reference(prompts[b], options_.first_prompt + static_cast<int64_t>(b));
    ASSERT_EQ(ours.at(b).size(), expected.size()) << b;
    for (size_t s = 0; s < expected.size(); ++s)
      EXPECT_EQ(ours.at(b)[s], expected[s]) << "prompt " << b << ", step " << s;
    EXPECT_EQ(std::count(expected.back().begin(), expected.back().end(), kMask), 0);
  }
}

const SamplingOptions kWarm = {.temperature = 0.8, .top_k = 7, .seed = 11};
INSTANTIATE_TEST_SUITE_P(
    Cases, Procedure,
    testing::Values(
        Case{"one_token_a_step", {}}, Case{"few_steps", {.steps = 5}},
        Case{"blocks", {.block_length = 4, .steps = 6}},
        Case{"margin", {.steps = 4, .remasking = Remasking::low_margin}},
        Case{"entropy", {.block_length = 6, .steps = 4, .remasking = Remasking::high_entropy}},
        Case{"random", {.steps = 4, .remasking = Remasking::random}, {.seed = 5}},
        Case{"threshold", {.block_length = 6, .confidence_threshold = 0.3}},
        Case{"guidance", {.block_length = 4, .steps = 6, .guidance = 2.5}},
        Case{"shifted", {.shifted = true, .steps = 6}}, Case{"temperature", {.steps = 6}, kWarm},
        Case{"temperature_in_blocks", {.block_length = 4, .confidence_threshold = 0.5}, kWarm}),
    [](const auto& info) { return info.param.name; });

TEST(UnmaskingSchedule, shares_masks_out_evenly_and_no_step_is_empty) {
  EXPECT_EQ(unmasking_schedule(10, 4), (std::vector<int64_t>{3, 3, 2, 2}));
  EXPECT_EQ(unmasking_schedule(3, 8), (std::vector<int64_t>{1, 1, 1}));
  EXPECT_EQ(unmasking_schedule(6, 1), (std::vector<int64_t>{6}));
  EXPECT_TRUE(unmasking_schedule(0, 4).empty());
}

TEST_F(UnmaskingTest, kept_keys_and_values_of_blocks_change_no_step) {
  unmasking().trained_block = 4;
  options_.sampling = kWarm;
  // shorter than a block, a whole number of blocks, and between
  const std::vector<Ids> prompts = {
      {3, 1}, {3, 1, 4, 1, 5, 9, 2, 6}, {2, 7, 1, 8, 2}, {1, 1, 2, 3}};
  for (const double guidance : {1.0, 2.0}) {
    for (const std::optional<double> threshold : {std::optional<double>(), std::optional(0.4)}) {
      unmasking().guidance = guidance;
      unmasking().confidence_threshold = threshold;
      unmasking().cache = true;
      const auto kept = drafts(prompts);
      unmasking().cache = false;
      EXPECT_EQ(kept, drafts(prompts)) << guidance;
      // all begin without a block to keep
      unmasking().cache = true;
      EXPECT_EQ(drafts({prompts[0]}).at(0), kept.at(0));
    }
  }
}

TEST_F(UnmaskingTest, a_block_sees_what_is_before_it_and_nothing_behind) {
  unmasking().trained_block = 4;
  const Ids text = {3, kMask, 4, kMask, 5, 9, kMask, 6};
  Ids other = text;
  other[7] = 8;
  const Ids one = run({text})[0].ids, two = run({other})[0].ids;
  EXPECT_EQ(Ids(one.begin(), one.begin() + 4), Ids(two.begin(), two.begin() + 4));
  // a model that was not trained so sees it
  unmasking().trained_block = 0;
  unmasking().steps = 1;
  const auto differs = [&](int32_t last) {
    other[7] = last;
    return run({other})[0].ids != run({text})[0].ids;
  };
  int changed = 0;
  for (int32_t last = 10; last < 30; ++last) {
    other = text;
    changed += differs(last);
    unmasking().trained_block = 4;
    const Ids seen = run({other})[0].ids;
    EXPECT_EQ(Ids(seen.begin(), seen.begin() + 4), Ids(one.begin(), one.begin() + 4));
    unmasking().trained_block = 0;
  }
  EXPECT_GT(changed, 0);
}

TEST_F(UnmaskingTest, texts_are_the_same_whatever_is_generated_together) {
  options_.sampling = {.temperature = 1, .seed = 9};
  const std::vector<Ids> prompts = {{3, 1, 4}, {9, 9, 2, 40, 1, 0, 7}, {5}, {kMask, 4, kMask, 6}};
  for (const int64_t block : {0, 4}) {
    unmasking().trained_block = block;
    unmasking().steps = 7;
    options_.first_prompt = 0;
    const auto together = run(prompts);
    for (size_t b = 0; b < prompts.size(); ++b) {
      options_.first_prompt = static_cast<int64_t>(b);
      EXPECT_EQ(run({prompts[b]})[0].ids, together[b].ids) << "block " << block << ", " << b;
    }
  }
  const Ids seed_9 = run(prompts)[1].ids;
  options_.sampling.seed = 10;
  EXPECT_NE(run(prompts)[1].ids, seed_9);
}

TEST_F(UnmaskingTest, masks_inside_a_text_are_filled_in_and_the_rest_stays) {
  const Ids text = {3, kMask, 4, kMask, kMask, 9, 2, kMask};
  options_.stop_ids = {3, 9};  // given, and no end
  for (const int64_t block : {0, 3}) {
    unmasking().block_length = block;
    const Generated out = run({text})[0];
    ASSERT_EQ(out.ids.size(), text.size());
    for (size_t i = 0; i < text.size(); ++i) {
      EXPECT_NE(out.ids[i], kMask);
      if (text[i] != kMask) {
        EXPECT_EQ(out.ids[i], text[i]) << i;
      }
    }
    EXPECT_TRUE(out.finished);
    EXPECT_EQ(out.steps, 4);
  }
  unmasking().block_length = 0;
  unmasking().steps = 1;
  EXPECT_EQ(run({Ids{3, kMask, 4, kMask}})[0].steps, 1);
}

TEST_F(UnmaskingTest, a_threshold_settles_at_least_what_the_step_would) {
  unmasking().confidence_threshold = 1e-6;
  EXPECT_EQ(run({{3, 1, 4}})[0].steps, 1);
  unmasking().steps = 3;
  unmasking().confidence_threshold = 1.0;
  EXPECT_EQ(run({{3, 1, 4}})[0].steps, 3);
}

TEST_F(UnmaskingTest, an_answer_ends_at_a_stop_token_as_soon_as_all_before_it_is_settled) {
  const std::vector<Ids> prompts = {{3, 1, 4}, {9, 9, 2, 40, 1, 0, 7}};
  for (const int64_t block : {0, 4}) {
    unmasking().trained_block = block;
    options_.stop_ids.clear();
    const auto whole = run(prompts);
    options_.stop_ids = {whole[0].ids[5]};
    const auto first = static_cast<size_t>(
        std::find(whole[0].ids.begin(), whole[0].ids.end(), options_.stop_ids[0]) -
        whole[0].ids.begin());
    Ids told;
    GenerationHooks hooks;
    hooks.token = [&](size_t b, int32_t id) {
      if (b == 0) told.push_back(id);
    };
    const auto ended = run(prompts, hooks);
    EXPECT_EQ(ended[0].ids, Ids(whole[0].ids.begin(), whole[0].ids.begin() + first));
    EXPECT_EQ(told, ended[0].ids);
    EXPECT_TRUE(ended[0].finished);
    EXPECT_FALSE(whole[0].finished);
    EXPECT_LE(ended[0].steps, whole[0].steps);
    EXPECT_EQ(whole[0].ids.size(), 12u);
    EXPECT_EQ(run({prompts[0]})[0].ids, ended[0].ids);
  }
}

TEST_F(UnmaskingTest, whole_blocks_are_computed_and_max_new_tokens_told) {
  unmasking().trained_block = 8;
  options_.max_new_tokens = 5;
  const auto out = drafts({{3, 1, 4, 1, 5}});
  for (const Ids& ids : out.at(0)) EXPECT_EQ(ids.size(), 5u);
  EXPECT_EQ(run({{3, 1, 4, 1, 5}})[0].ids, out.at(0).back());
  options_.max_new_tokens = 0;
  EXPECT_TRUE(run({{3, 1, 4, 1, 5}})[0].ids.empty());
}

TEST_F(UnmaskingTest, a_stop_ends_all_with_what_is_settled_from_the_front) {
  int asked = 0;
  GenerationHooks hooks;
  std::map<size_t, Drafts> seen;
  hooks.draft = [&](size_t b, std::span<const int32_t> ids) {
    seen[b].emplace_back(ids.begin(), ids.end());
  };
  hooks.stop = [&] { return ++asked > 6; };
  const auto out = run({{3, 1, 4}, {9}}, hooks);
  for (size_t b = 0; b < 2; ++b) {
    EXPECT_EQ(out[b].steps, 6);
    EXPECT_FALSE(out[b].finished);
    const Ids& last = seen.at(b).back();
    EXPECT_EQ(out[b].ids, Ids(last.begin(), std::find(last.begin(), last.end(), kMask)));
  }
}

TEST(UnmaskingOf, reads_config_json) {
  EXPECT_FALSE(unmasking_of({{"model_type", "qwen3"}}, "config.json"));
  EXPECT_FALSE(unmasking_of({{"mask_token_id", nullptr}}, "config.json"));
  const auto options = unmasking_of(
      {{"vocab_size", 48}, {"mask_token_id", 47}, {"diffusion_block_length", 16}}, "config.json");
  ASSERT_TRUE(options);
  EXPECT_EQ(*options, (UnmaskingOptions{.mask_id = 47, .trained_block = 16}));
  EXPECT_TRUE(unmasking_of({{"mask_token_id", 3}, {"diffusion_shift", true}}, "")->shifted);
  for (const char* wrong :
       {R"({"mask_token_id": 48, "vocab_size": 48})", R"({"mask_token_id": -1})",
        R"({"mask_token_id": "47"})", R"({"mask_token_id": 1, "diffusion_block_length": -4})",
        R"({"mask_token_id": 1, "diffusion_shift": 1})",
        R"({"mask_token_id": 1, "diffusion_shift": true, "diffusion_block_length": 4})"}) {
    try {
      (void)unmasking_of(nlohmann::json::parse(wrong), "a/config.json");
      ADD_FAILURE() << wrong;
    } catch (const Error& e) {
      EXPECT_THAT(e.what(), HasSubstr("a/config.json")) << wrong;
    }
  }
}

TEST(UnmaskingOf, a_model_of_blocks_keeps_their_length) {
  UnmaskingOptions options{.mask_id = 1, .trained_block = 16};
  EXPECT_THROW(set_block_length(options, 8, "--block-length"), Error);
  set_block_length(options, 16, "--block-length");
  EXPECT_EQ(options.block(), 16);
  options.trained_block = 0;
  set_block_length(options, 8, "--block-length");
  EXPECT_EQ(options.block(), 8);
}

}  // namespace
}  // namespace lmms::generate
