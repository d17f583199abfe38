#include "objectives/step_context.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/ones_like.h>
#include <gtest/gtest.h>

#include "kernels/linear/linear.h"
#include "objectives/objective.h"

namespace lmms::objectives {
namespace {

at::Tensor weight(int64_t rows, int64_t columns) {
  at::Tensor w = at::arange(rows * columns, at::kFloat).view({rows, columns}).div_(10);
  w.set_requires_grad(true);
  w.mutable_grad() = at::ones({rows, columns});  // of micro-steps before this one
  return w;
}

struct Graph {
  at::Tensor first = weight(3, 2), second = weight(1, 3), x = at::ones({4, 2});
  at::Tensor hidden, loss;
  Graph() {
    hidden = kernels::linear(x, {.weight = {first, first.grad()}, .bias = {}});
    loss = kernels::linear(hidden, {.weight = {second, second.grad()}, .bias = {}}).sum();
  }
};

TEST(StepContext, sums_what_goes_backward_and_each_term) {
  const nn::Batch batch;
  const nn::RunContext run;
  const std::vector<double> denominators{2.0, 5.0};
  StepValues values{.loss = {}, .terms = std::vector<at::Tensor>(2)};
  Graph graph;
  for (int micro_step = 0; micro_step < 2; ++micro_step) {
    StepContext context({.models = {}, .batch = batch, .run = run, .denominators = denominators},
                        values);
    EXPECT_EQ(context.denominator(1), 5.0);
    context.add(1, at::ones({}).mul(3));
    context.backward(Graph().loss);
  }
  EXPECT_FLOAT_EQ(values.loss.item<float>(), 2 * graph.loss.item<float>());
  EXPECT_FALSE(values.terms[0].defined());
  EXPECT_FLOAT_EQ(values.terms[1].item<float>(), 6);
}

TEST(StepContext, gives_gradients_that_go_nowhere) {
  const nn::Batch batch;
  const nn::RunContext run;
  StepValues values;
  Graph graph;
  StepContext context({.models = {}, .batch = batch, .run = run}, values);
  const std::vector<at::Tensor> of{graph.second, graph.hidden, graph.first};
  const auto gradients = context.grad_of(graph.loss, of);
  ASSERT_EQ(gradients.size(), 3u);
  EXPECT_TRUE(gradients[0].equal(graph.hidden.detach().sum(0, /*keepdim=*/true)));
  EXPECT_TRUE(gradients[1].equal(graph.second.detach().expand({4, 3})));
  EXPECT_TRUE(gradients[2].allclose(graph.second.detach().t().expand({3, 2}) * 4));
  for (const at::Tensor& w : {graph.first, graph.second})
    EXPECT_TRUE(w.grad().equal(at::ones_like(w))) << "the slots are as they were";
  context.backward(graph.loss);  // its graph is still there
  EXPECT_TRUE(graph.second.grad().allclose(gradients[0] + 1));
}

TEST(StepContext, of_an_evaluation_makes_no_gradients) {
  const nn::Batch batch;
  const nn::RunContext run;
  StepValues values;
  Graph graph;
  StepContext context({.models = {}, .batch = batch, .run = run, .gradients = false}, values);
  context.backward(graph.loss);
  EXPECT_EQ(values.loss.item<float>(), graph.loss.item<float>());
  EXPECT_TRUE(graph.first.grad().equal(at::ones_like(graph.first)));
}

data::StepBatch step_of(const std::vector<int64_t>& supervised) {
  data::StepBatch step;
  for (const int64_t n : supervised) {
    data::Batch& micro = step.micro_steps.emplace_back();
    micro.supervised_tokens = n;
    step.supervised_tokens += n;
  }
  return step;
}

TEST(Denominators, of_the_next_token_are_all_trained_tokens_or_those_of_each_micro_step) {
  const data::StepBatch step = step_of({3, 5, 0});
  using Rows = std::vector<std::vector<double>>;
  EXPECT_EQ(denominators_of(*next_token(), step, 1), (Rows{{8}, {8}, {8}}));
  const auto means = next_token({.mean_of_means = true});
  EXPECT_EQ(denominators_of(*means, step, 1), (Rows{{9}, {15}, {1}}));
  EXPECT_EQ(denominators_of(*means, step, 2), (Rows{{18}, {30}, {1}}));
}

TEST(Denominators, of_other_terms_are_what_draws_counted) {
  class Counted final : public Objective {
   public:
    const char* name() const override { return "counted"; }
    void check(const models::Model&, const std::string&) const override {}
    const std::vector<Phase>& phases() const override { return phases_; }
    const std::vector<Term>& terms() const override { return terms_; }

   private:
    std::vector<Phase> phases_;
    std::vector<Term> terms_{{.name = "tokens"}, {.name = "distance", .counted_as = "images"}};
  };
  data::StepBatch step = step_of({0, 0});
  EXPECT_FALSE(has_any_term(Counted(), step));
  step.counts["images"] = 7;
  EXPECT_TRUE(has_any_term(Counted(), step));
  EXPECT_FALSE(has_any_term(Counted(), step.micro_steps[0]));
  const auto rows = denominators_of(Counted(), step, 1);
  EXPECT_EQ(rows[0], (std::vector{1.0, 7.0})) << "where nothing is counted, 1";
}

TEST(Objectives, are_made_by_trainer_type) {
  ObjectiveRegistry registry("trainer_type");
  register_objectives(registry);
  EXPECT_NE(registry.find("fsdp2_trainer"), nullptr);
  EXPECT_NE(registry.find("hf_trainer"), nullptr);
  EXPECT_EQ(registry.find("wan_trainer"), nullptr);
}

}  // namespace
}  // namespace lmms::objectives
