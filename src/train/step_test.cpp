#include "train/step.h"

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/ops/equal.h>
#include <gtest/gtest.h>

#include "models/registry.h"
#include "train/device_batch.h"

namespace lmms::train {
namespace {

Network tiny_network() {
  const nlohmann::json config{
      {"model_type", "qwen3"},        {"vocab_size", 32},       {"hidden_size", 16},
      {"intermediate_size", 32},      {"num_hidden_layers", 2}, {"num_attention_heads", 2},
      {"num_key_value_heads", 1},     {"head_dim", 8},          {"tie_word_embeddings", false},
      {"max_position_embeddings", 64}};
  Network network;
  network.model = models::model_entry(config, "test").make(config, "test");
  network.memory = nn::allocate(network.model->params(), {});
  nn::initialise(network.model->params(), network.memory, 1);
  network.optimizer =
      std::make_unique<optim::Adamw>(network.memory.buckets, optim::OptimizerConfig{},
                                     /*decay_everything=*/false);
  return network;
}

/// Two samples of 3 and 5 tokens in one row, all targets trained.
data::Batch two_samples() {
  data::Batch batch;
  batch.input_ids = {1, 2, 3, 4, 5, 6, 7, 8};
  batch.labels = {2, 3, 4, 5, 6, 7, 8, 9};
  batch.weights.assign(8, 1.0f);
  batch.position_ids = {0, 1, 2, 0, 1, 2, 3, 4};
  batch.segments = {{.start = 0, .length = 3}, {.start = 3, .length = 5, .sample = 1}};
  batch.valid_tokens = batch.supervised_tokens = 8;
  batch.samples = 2;
  batch.rows = 1;
  return batch;
}

double step(Network& network, bool recompute, double learning_rate) {
  const std::vector<nn::Batch> micro_steps{to_device(two_samples(), 8, 32, at::kCPU)};
  nn::RunContext context;
  context.recompute = recompute;
  const auto runner = plain_runner();
  return train_step(network, *objectives::next_token(), *runner, micro_steps, context,
                    {&learning_rate, 1})
      .item<double>();
}

TEST(TrainStep, lowers_the_loss_of_its_own_batch) {
  Network network = tiny_network();
  const double before = step(network, false, 1e-2);
  double after = before;
  for (int i = 0; i < 10; ++i) after = step(network, false, 1e-2);
  EXPECT_LT(after, 0.5 * before);
}

TEST(TrainStep, draws_nothing_from_the_default_generator_of_torch) {
  const at::Generator generator = at::detail::getDefaultCPUGenerator();
  const at::Tensor before = generator.get_state();
  Network network = tiny_network();
  step(network, /*recompute=*/false, 1e-3);
  step(network, /*recompute=*/true, 1e-3);
  EXPECT_TRUE(at::equal(generator.get_state(), before));
}

TEST(TrainStep, at_a_learning_rate_of_0_changes_no_weight) {
  Network network = tiny_network();
  const double first = step(network, false, 0);
  EXPECT_EQ(step(network, false, 0), first);
  EXPECT_EQ(network.optimizer->control().applied, 2);
}

}  // namespace
}  // namespace lmms::train
