#include "train/best_model.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/files.h"
#include "train/config_testing.h"
#include "train/recorder.h"

namespace lmms::train {
namespace {

using testing::HasSubstr;

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

/// After evaluations of these values at steps 1, 2, ...; every `saved` steps one has a checkpoint.
BestState after(const std::vector<double>& values, BestMetric metric = {"eval_loss", false},
                double threshold = 0, int64_t saved = 1) {
  BestState state{.metric = std::move(metric)};
  for (size_t i = 0; i < values.size(); ++i) {
    const auto step = static_cast<int64_t>(i) + 1;
    state.observe({values[i], step}, threshold);
    if (step % saved == 0) state.keep_last();
  }
  return state;
}

TEST(BestState, is_the_smallest_loss_or_the_greatest_share) {
  EXPECT_EQ(after({3, 2, 2.5, 2}).checkpoint, (Evaluated{2, 2}));  // the first of equals
  EXPECT_EQ(after({0.1, 0.5, 0.3}, {"eval_exact", true}).checkpoint, (Evaluated{0.5, 2}));
  EXPECT_EQ(after({3, 2, 2.5, 2}).without_improvement, 2);
}

TEST(BestState, compares_checkpoints_with_checkpoints) {
  const BestState state = after({1, 3, 2, 2.5}, {"eval_loss", false}, 0, 2);
  EXPECT_EQ(state.best, (Evaluated{1, 1}));
  EXPECT_EQ(state.checkpoint, (Evaluated{2.5, 4}));
  EXPECT_EQ(state.without_improvement, 3);
}

TEST(BestState, wants_more_than_the_threshold_for_its_patience) {
  const BestState state = after({3, 2.9, 2.8}, {"eval_loss", false}, 0.25);
  EXPECT_EQ(state.without_improvement, 2);
  EXPECT_EQ(state.checkpoint, (Evaluated{2.8, 3})) << "the best it is nevertheless";
}

TEST(BestState, is_never_what_is_not_finite) {
  const BestState none = after({kNaN, kNaN, kNaN});
  EXPECT_EQ(none.checkpoint, std::nullopt);
  EXPECT_EQ(none.without_improvement, 2) << "the first one is no failure to improve";
  const BestState some = after({kNaN, 4, kNaN});
  EXPECT_EQ(some.checkpoint, (Evaluated{4, 2}));
  EXPECT_EQ(some.without_improvement, 1);
}

TEST(BestState, comes_back_from_its_json_to_the_last_bit) {
  for (const BestState& state :
       {after({}), after({0.1 + 0.2, 1.0 / 3}), after({kNaN}), after({1, 2}, {"eval_exact", true}),
        after({1, 2}, {"eval_loss", false}, 0, 5)}) {
    const std::string text = to_json(state).dump();
    const BestState read = best_state_from(nlohmann::json::parse(text));
    EXPECT_EQ(to_json(read).dump(), text);
    const bool comparable = !state.last || !std::isnan(state.last->value);
    EXPECT_EQ(read == state, comparable) << text;
  }
  EXPECT_THROW(best_state_from({{"metric", 3}}), nlohmann::json::exception);
}

// tests/parity/make_best_evaluations.py
TEST(BestState, goes_as_transformers_has_it) {
  const std::string file = LMMS_SOURCE_DIR "/tests/parity/data/best_evaluations.json";
  const auto cases = nlohmann::json::parse(*read_file(file));
  ASSERT_EQ(cases.size(), 40u);
  for (const nlohmann::json& c : cases) {
    BestState state{.metric = {"eval_loss", c.at("greater_is_better")}};
    const BestModelConfig config{.early_stopping_patience = c.at("patience").get<int64_t>()};
    for (size_t i = 0; i < c.at("values").size(); ++i) {
      const nlohmann::json& value = c["values"][i];
      const auto step = static_cast<int64_t>(i);
      state.observe({value.is_null() ? kNaN : value.get<double>(), step}, c.at("threshold"));
      state.keep_last();
      EXPECT_EQ(state.checkpoint ? state.checkpoint->step : -1, c.at("best")[i]) << c << i;
      EXPECT_EQ(state.without_improvement, c.at("failures")[i]) << c << i;
      EXPECT_EQ(seen_enough(state, config), c.at("stops")[i].get<bool>()) << c << i;
    }
  }
}

TEST(SeenEnough, after_as_many_evaluations_as_the_patience) {
  BestModelConfig config{.early_stopping_patience = 2};
  EXPECT_FALSE(seen_enough(after({}), config));
  EXPECT_FALSE(seen_enough(after({1, 2}), config));
  EXPECT_TRUE(seen_enough(after({1, 2, 3}), config));
  EXPECT_EQ(why_enough(after({1, 2, 3})),
            "eval_loss has not improved for 2 evaluations; its best is 1, at step 1");
  config.early_stopping_patience.reset();
  EXPECT_FALSE(seen_enough(after({1, 2, 3}), config));
}

TEST(BestMetric, is_a_number_of_the_evaluation) {
  Evaluation evaluation;
  EXPECT_EQ(value_of(evaluation, "eval_loss"), std::nullopt);
  evaluation.result = EvaluationResult{.loss = 2, .terms = {{"mse", 0.5}}};
  evaluation.shown.emplace_back().metrics = {{"eval_exact", 0.25}, {"eval_answers", 4}};
  EXPECT_EQ(value_of(evaluation, "eval_loss"), 2);
  EXPECT_EQ(value_of(evaluation, "eval_perplexity"), std::exp(2.0));
  EXPECT_EQ(value_of(evaluation, "eval_mse"), 0.5);
  EXPECT_EQ(value_of(evaluation, "eval_exact"), 0.25);
  EXPECT_EQ(value_of(evaluation, "eval_accuracy"), std::nullopt);
  EXPECT_EQ(best_metric({.metric_for_best_model = "exact"}), (BestMetric{"eval_exact", true}));
  EXPECT_EQ(best_metric({.metric_for_best_model = "accuracy"}),
            (BestMetric{"eval_accuracy", true}));
  EXPECT_EQ(best_metric({.metric_for_best_model = "eval_perplexity"}),
            (BestMetric{"eval_perplexity", false}));
  EXPECT_EQ(best_metric({.greater_is_better = true}), (BestMetric{"eval_loss", true}));
}

class BestModelKeys : public TrainConfigTest {
 protected:
  static std::string faults_of(const std::string& keys) {
    return faults(right("{" + keys + "}", "  eval_dataset_path: e.jsonl\n"));
  }
};

TEST_F(BestModelKeys, that_work_together) {
  EXPECT_EQ(faults_of("load_best_model_at_end: true, eval_strategy: epoch, save_strategy: epoch"),
            "");
  EXPECT_EQ(faults_of("load_best_model_at_end: true, eval_strategy: steps, eval_steps: 50, "
                      "save_steps: 100, metric_for_best_model: eval_perplexity, "
                      "early_stopping_patience: 3, early_stopping_threshold: 0.01"),
            "");
  EXPECT_EQ(faults_of("load_best_model_at_end: true, eval_strategy: steps, eval_steps: 0.1, "
                      "save_steps: 0.3, max_steps: 100"),
            "");
  EXPECT_EQ(
      faults_of("eval_strategy: steps, eval_generate: {rows: 4}, metric_for_best_model: exact"),
      "");
  EXPECT_EQ(faults_of("metric_for_best_model: anything"), "") << "nothing is evaluated";
}

TEST_F(BestModelKeys, that_have_no_evaluation_to_go_by) {
  EXPECT_EQ(faults_of("load_best_model_at_end: true"),
            "a.yaml:1:16: trainer_args.load_best_model_at_end: goes by evaluations; expected "
            "eval_strategy: steps or epoch, and dataset_config.eval_dataset_path");
  EXPECT_THAT(faults_of("early_stopping_patience: 3"),
              HasSubstr("trainer_args.early_stopping_patience: goes by evaluations"));
  EXPECT_THAT(faults(right("{early_stopping_patience: 3, eval_strategy: steps, eval_generate: "
                           "{prompts: [Hi]}}")),
              HasSubstr("without evaluation data there is no eval_loss"));
}

TEST_F(BestModelKeys, whose_metric_no_evaluation_has) {
  EXPECT_EQ(
      faults_of("eval_strategy: steps, metric_for_best_model: eval_perplexty"),
      "a.yaml:1:38: trainer_args.metric_for_best_model: got 'eval_perplexty'; expected one of "
      "loss, perplexity; did you mean 'perplexity'?");
  EXPECT_THAT(faults_of("eval_strategy: steps, metric_for_best_model: exact"),
              HasSubstr("expected trainer_args.eval_generate: {rows: N} beside it"));
  EXPECT_THAT(faults_of("eval_strategy: steps, metric_for_best_model: exact, eval_generate: {rows: "
                        "2}, lr_scheduler_type: greedy"),
              HasSubstr("min, but of eval_exact a greater value is better"));
}

TEST_F(BestModelKeys, whose_checkpoints_would_have_no_evaluation) {
  EXPECT_THAT(faults_of("load_best_model_at_end: true, eval_strategy: epoch"),
              HasSubstr("eval_strategy is epoch (a.yaml:1:46) and save_strategy is steps; expected "
                        "the same of both"));
  EXPECT_THAT(faults_of("load_best_model_at_end: true, eval_strategy: steps, eval_steps: 40, "
                        "save_steps: 100"),
              AllOf(HasSubstr("save_steps is 100 (a.yaml:1:84) and eval_steps is 40"),
                    HasSubstr("expected save_steps a multiple of eval_steps, such as 120")));
  EXPECT_THAT(faults_of("load_best_model_at_end: true, eval_strategy: steps, eval_steps: 0.1"),
              HasSubstr("expected both in steps, or both a share of all steps"));
}

TEST_F(BestModelKeys, that_say_little_are_told) {
  const auto notices = load(right("{eval_strategy: epoch, early_stopping_patience: 2, "
                                  "greater_is_better: true}",
                                  "  eval_dataset_path: e.jsonl\n"))
                           .notices;
  EXPECT_THAT(notices,
              testing::ElementsAre(HasSubstr("the final model will be that of the last step"),
                                   HasSubstr("takes the greatest eval_loss for the best")));
}

}  // namespace
}  // namespace lmms::train
