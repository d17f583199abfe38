#include "train/evaluation.h"

#include <ATen/ops/ones.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <set>
#include <stdexcept>

#include "core/error.h"
#include "core/ranks_testing.h"
#include "data/data_testing.h"
#include "generate/generation.h"
#include "step/small_steps_testing.h"
#include "train/kernel_patches.h"

namespace lmms::train {
namespace {

using testing::HasSubstr;

/// Row r is `lengths[r]` tokens r, as data::MadeProcessor makes them, in batches of 3.
EvaluationData made_set(const std::vector<int64_t>& lengths, int threads = 1) {
  EvaluationData data;
  data.dataset = data::made_dataset(lengths, /*shuffle=*/false);
  data.processor = std::make_shared<data::MadeProcessor>(/*keeps=*/false);
  data.options.global_rows = data.options.rows_per_micro_step = 3;
  data.options.epochs = 1;
  data.options.threads = threads;
  data.options.steps_ahead = 0;
  data.options.end_if_all_skipped = false;
  data.where = "train.yaml:3:3: dataset_config.eval_dataset_path";
  return data;
}

std::string fault_of(const EvaluationData& data) {
  try {
    check_evaluation(data, *objectives::next_token());
  } catch (const Error& e) {
    EXPECT_EQ(e.exit(), Exit::bad_input);
    return e.what();
  }
  return "";
}

TEST(EvaluationSet, has_no_limit_but_max_length) {
  data::DataConfig config;
  config.packing = true;
  config.packing_length = 10;
  config.packing_patches = 20;
  EXPECT_EQ(training_policies(config).max_length, 10);
  EXPECT_EQ(training_policies(config).max_media.of(kVision).patches, 20);
  EXPECT_EQ(evaluation_policies(config).max_length, 0);
  EXPECT_TRUE(evaluation_policies(config).max_media.empty());
  config.max_length = 70;
  config.filter_overlong = false;
  EXPECT_EQ(training_policies(config).max_length, 10);
  EXPECT_EQ(evaluation_policies(config).max_length, 70);
  EXPECT_EQ(evaluation_policies(config).on_overlong, data::OnOverlong::fail);
  data::DataConfig text;
  text.processor.processor_type = "pure_text";
  text.packing_length = 10;
  EXPECT_EQ(training_policies(text).max_length, 10);
  EXPECT_EQ(evaluation_policies(text).max_length, 0);
}

TEST(EvaluationSet, that_is_bad_is_refused_at_its_row) {
  EXPECT_EQ(fault_of(made_set({3, 4, 5, 6})), "");
  EXPECT_THAT(fault_of(made_set({3, 4, 5, -1})), HasSubstr("made:4: rotten"));
  EXPECT_THAT(fault_of(made_set({1, 1, 0, 1})),
              testing::AllOf(HasSubstr("train.yaml:3:3"), HasSubstr("no token that is trained"),
                             HasSubstr("3 unsupervised (first: made:1")));
  EXPECT_EQ(fault_of(made_set({1, 1, 1, 2})), "");
  EvaluationData skipping = made_set({-1, -1});
  skipping.options.policies.on_bad_sample = data::OnBadSample::skip;
  EXPECT_THAT(fault_of(skipping), HasSubstr("2 bad (first: made:1: rotten)"));
}

TEST(EvaluationSet, that_is_large_is_looked_at_from_its_front) {
  std::vector<int64_t> lengths(5000, 3);
  lengths[4999] = -1;
  EXPECT_EQ(fault_of(made_set(lengths)), "");
  lengths[100] = -1;
  EXPECT_THAT(fault_of(made_set(lengths)), HasSubstr("made:101: rotten"));
  std::vector<int64_t> no_target(5000, 1);
  EXPECT_EQ(fault_of(made_set(no_target)), "");  // one may come
}

TEST(EvaluationSet, is_looked_at_by_each_rank_alone) {
  const RanksInThreads group(2, std::chrono::milliseconds(20));  // the other one never comes
  EvaluationData data = made_set({3, 4, 5, -1});
  data.options.ranks = group.rank(0);
  EXPECT_THAT(fault_of(data), HasSubstr("made:4: rotten"));
}

/// Remembers by which kernels it was asked to compute.
class WatchedModel final : public models::Model, public models::LinearHeadModel {
 public:
  WatchedModel() : Model({{"model_type", "watched"}}, "Watched") {
    table_.shape = {16, 4};
    table_.unit = "head";
    table_.set_leaf(at::ones({16, 4}));
    head_ = {&table_};
  }
  const models::LanguageModel* language_model() const override { return this; }
  double train_flops(const models::Workload&) const override { return 0; }
  double lmms_engine_flops(const models::Workload&) const override { return 0; }
  nn::Hidden hidden(const nn::Batch& batch, const nn::RunContext& context) const override {
    asked.push_back(context.kernels);
    return {at::ones({batch.input_ids.size(0), 4})};
  }

  mutable std::vector<nn::KernelSet> asked;

 private:
  nn::Param table_;
};

class WatchedObjective final : public objectives::Objective {
 public:
  const char* name() const override { return "watched"; }
  void check(const models::Model&, const std::string&) const override {}
  const std::vector<objectives::Phase>& phases() const override { return phases_; }
  const std::vector<objectives::Term>& terms() const override { return terms_; }

  mutable std::vector<nn::KernelSet> asked;

 private:
  void run(objectives::StepContext& context) const {
    asked.push_back(context.run().kernels);
    const models::Model& model = context.model(objectives::kMainNetwork);
    context.backward(model.language_model()->hidden(context.batch(), context.run()).hidden.sum());
  }

  std::vector<objectives::Phase> phases_{
      {objectives::kMainNetwork, [this](objectives::StepContext& context) { run(context); }}};
  std::vector<objectives::Term> terms_{{.name = "loss"}};
};

TEST(ForwardModel, evaluates_and_generates_by_the_kernels_of_the_config) {
  LoadedConfig plain, fused, mixed;
  plain.config.trainer.layout["use_liger_kernel"].data = false;
  mixed.config.model.monkey_patch_kwargs.layout["rope"].data = false;
  ASSERT_EQ(kernel_set(plain), models::plain_kernels());
  for (const LoadedConfig& config : {plain, fused, mixed}) {
    const nn::KernelSet wanted = kernel_set(config);
    const WatchedModel model;
    const WatchedObjective objective;
    const step::ForwardModel forward(model, at::kCPU, wanted);
    ASSERT_TRUE(evaluate(forward, objective, made_set({3, 4, 5, 6})));
    EXPECT_EQ(objective.asked, (std::vector{wanted, wanted}));
    EXPECT_EQ(model.asked, (std::vector{wanted, wanted}));
    generate::GenerationOptions options;
    options.max_new_tokens = 1;
    const data::Sample prompt = generate::text_prompt({1, 2, 3});
    ASSERT_EQ(generate::generate(forward, {&prompt, 1}, options).size(), 1u);
    EXPECT_EQ(model.asked, (std::vector{wanted, wanted, wanted}));
  }
}

/// Reads no tokens.
class HeadlessModel final : public models::Model {
 public:
  HeadlessModel() : Model({{"model_type", "headless"}}, "Headless") {}
  double train_flops(const models::Workload&) const override { return 0; }
  double lmms_engine_flops(const models::Workload&) const override { return 0; }
};

/// Its first phase has two of the three terms; each counts the supervised tokens.
class TwoPhases final : public objectives::Objective {
 public:
  const char* name() const override { return "two phases"; }
  void check(const models::Model&, const std::string&) const override {}
  const std::vector<objectives::Phase>& phases() const override { return phases_; }
  const std::vector<objectives::Term>& terms() const override { return terms_; }

 private:
  static void first(objectives::StepContext& context) {
    const at::Tensor tokens = at::ones({}).mul(context.batch().targets.size(0));
    context.add(0, tokens);
    context.add(2, tokens.mul(3));
    context.backward(tokens.mul(4));
  }
  static void second(objectives::StepContext& context) { context.add(1, at::ones({})); }

  std::vector<objectives::Phase> phases_{{objectives::kMainNetwork, first},
                                         {objectives::kMainNetwork, second}};
  std::vector<objectives::Term> terms_{{.name = "a"}, {.name = "b"}, {.name = "c"}};
};

TEST(Evaluation, of_a_model_without_a_language_head_has_the_terms_that_were_evaluated) {
  const HeadlessModel model;
  const step::ForwardModel forward(model, at::kCPU, {});
  const auto result = evaluate(forward, TwoPhases(), made_set({3, 4, 5, 6}));
  ASSERT_TRUE(result);
  EXPECT_EQ(result->terms, (std::map<std::string, double>{{"a", 1}, {"c", 3}}));
  EXPECT_EQ(result->loss, 4);
}

class Evaluated : public testing::Test {
 protected:
  Evaluated() {
    nlohmann::json config = step::small_text_model();
    config["max_position_embeddings"] = 30;
    state_ = step::small_state(config, {});
  }
  EvaluationResult of(const EvaluationData& data) const {
    const step::ForwardModel forward(*state_.main().model, at::kCPU, {});
    return *evaluate(forward, *objectives::next_token(), data);
  }
  step::TrainState state_;
};

TEST_F(Evaluated, has_the_same_bits_whatever_the_number_of_threads) {
  std::vector<int64_t> lengths;
  for (int64_t i = 0; i < 10; ++i) lengths.push_back(2 + i * 7 % 13);
  const EvaluationResult one = of(made_set(lengths, 1));
  EXPECT_EQ(one.samples, 10);
  EXPECT_EQ(one.skipped_samples, 0);
  EXPECT_EQ(of(made_set(lengths, 4)).loss, one.loss);
}

TEST_F(Evaluated, runs_as_many_micro_steps_on_every_rank_and_gives_all_the_same_loss) {
  constexpr int32_t kRanks = 3;
  const EvaluationData data = made_set({3, 9, 5, 4, 7, 2, 6});  // no multiple of the ranks
  const EvaluationResult one = of(data);
  std::vector<EvaluationResult> results(kRanks);
  std::vector<int64_t> asked(kRanks, 0);
  RanksInThreads(kRanks).run([&](Ranks& ranks) {
    const auto rank = static_cast<size_t>(ranks.rank());
    EvaluationData shared = data;
    shared.options.ranks = ranks.open_channel("data");
    step::ControlPlane control(ranks);
    const step::ForwardModel forward(*state_.main().model, at::kCPU, {});
    const EvaluationRun run{.stop = [&] { return control.any(++asked[rank] > 1000); },
                            .control = &control};
    results[rank] = *evaluate(forward, *objectives::next_token(), shared, run);
  });
  for (size_t rank = 0; rank < kRanks; ++rank) {
    EXPECT_EQ(asked[rank], asked[0]);
    EXPECT_EQ(results[rank].loss, results[0].loss);
    EXPECT_EQ(results[rank].supervised_tokens, one.supervised_tokens);
  }
  EXPECT_NEAR(results[0].loss, one.loss, 1e-6 * one.loss);
}

TEST_F(Evaluated, is_read_by_the_ranks_that_add_it_up) {
  const EvaluationData data = made_set({3, 9, 5, 4});
  const step::ForwardModel forward(*state_.main().model, at::kCPU, {});
  RanksInThreads(2).run([&](Ranks& ranks) {
    step::ControlPlane control(ranks);
    EXPECT_THROW(evaluate(forward, *objectives::next_token(), data, {.control = &control}),
                 std::logic_error);
    EvaluationData shared = data;
    shared.options.ranks = ranks.open_channel("data");
    EXPECT_THROW(evaluate(forward, *objectives::next_token(), shared), std::logic_error);
  });
}

TEST_F(Evaluated, tells_of_what_it_left_out) {
  EvaluationData data = made_set({3, 9, 5, 1});
  data.options.policies.max_length = 6;
  testing::internal::CaptureStderr();
  const EvaluationResult result = of(data);
  const std::string warnings = testing::internal::GetCapturedStderr();
  EXPECT_EQ(result.skipped_samples, 2);
  EXPECT_EQ(result.supervised_tokens, 2 + 4);
  EXPECT_THAT(warnings, HasSubstr("of the evaluation set, 2 records skipped: 1 overlong (first: "
                                  "made:2: 9 tokens, the limit is 6), 1 unsupervised"));
}

TEST_F(Evaluated, tells_of_a_sample_beyond_the_positions_that_the_model_knows) {
  testing::internal::CaptureStderr();
  EXPECT_EQ(of(made_set({3, 31})).samples, 2);
  EXPECT_THAT(testing::internal::GetCapturedStderr(),
              HasSubstr("31 tokens; the model knows positions up to 30"));
}

}  // namespace
}  // namespace lmms::train
