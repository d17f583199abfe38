#include "train/step.h"

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/ops/equal.h>
#include <gtest/gtest.h>

#include "data/collate.h"
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

double step(Network& network, nn::Keep keep, double learning_rate) {
  const std::vector<nn::Batch> micro_steps{to_device(two_samples(), 8, 32, at::kCPU)};
  nn::RunContext context;
  context.keep = keep;
  const auto runner = plain_runner();
  return train_step(network, *objectives::next_token(), *runner, micro_steps, context,
                    {&learning_rate, 1})
      .item<double>();
}

TEST(TrainStep, lowers_the_loss_of_its_own_batch) {
  Network network = tiny_network();
  const double before = step(network, nn::Keep::products, 1e-2);
  double after = before;
  for (int i = 0; i < 10; ++i) after = step(network, nn::Keep::products, 1e-2);
  EXPECT_LT(after, 0.5 * before);
}

TEST(TrainStep, draws_nothing_from_the_default_generator_of_torch) {
  const at::Generator generator = at::detail::getDefaultCPUGenerator();
  const at::Tensor before = generator.get_state();
  Network network = tiny_network();
  step(network, nn::Keep::products, 1e-3);
  step(network, nn::Keep::inputs, 1e-3);
  EXPECT_TRUE(at::equal(generator.get_state(), before));
}

TEST(TrainStep, at_a_learning_rate_of_0_changes_no_weight) {
  Network network = tiny_network();
  const double first = step(network, nn::Keep::products, 0);
  EXPECT_EQ(step(network, nn::Keep::products, 0), first);
  EXPECT_EQ(network.optimizer->control().applied, 2);
}

/// Windows and whole frames, everything trained.
Network seeing_network(at::ScalarType dtype) {
  const nlohmann::json config{{"model_type", "qwen2_5_vl"},
                              {"vocab_size", 32},
                              {"hidden_size", 16},
                              {"intermediate_size", 32},
                              {"num_hidden_layers", 2},
                              {"num_attention_heads", 2},
                              {"num_key_value_heads", 1},
                              {"max_position_embeddings", 64},
                              {"image_token_id", 30},
                              {"video_token_id", 31},
                              {"rope_scaling", {{"type", "mrope"}, {"mrope_section", {1, 1, 2}}}},
                              {"vision_config",
                               {{"depth", 2},
                                {"hidden_size", 16},
                                {"intermediate_size", 32},
                                {"num_heads", 2},
                                {"out_hidden_size", 16},
                                {"patch_size", 14},
                                {"window_size", 112},
                                {"fullatt_block_indexes", {1}}}}};
  Network network;
  network.model = models::model_entry(config, "test").make(config, "test");
  nn::MemoryOptions memory;
  memory.dtype = dtype;
  network.memory = nn::allocate(network.model->params(), memory);
  nn::initialise(network.model->params(), network.memory, 1);
  return network;
}

std::vector<at::Tensor> gradients_after(Network& network, std::span<const data::Batch> batches,
                                        nn::Keep keep) {
  for (parallel::Bucket& bucket : network.memory.buckets) bucket.zero_gradients();
  std::vector<nn::Batch> micro_steps;
  for (const data::Batch& batch : batches) micro_steps.push_back(to_device(batch, 8, 32, at::kCPU));
  nn::RunContext context;
  context.keep = keep;
  std::vector<at::Tensor> out{
      plain_runner()->run(network, *objectives::next_token(), micro_steps, context)};
  for (const parallel::Bucket& bucket : network.memory.buckets)
    out.push_back(bucket.gradients().clone());
  return out;
}

TEST(TrainStep, has_the_bits_of_its_own_rows_where_other_ranks_have_images_or_it_has_no_row) {
  data::Batch elsewhere = two_samples();
  elsewhere.vision_somewhere = true;
  data::Batch dummy = data::dummy_batch(1, 0), seeing_dummy = dummy;
  seeing_dummy.vision_somewhere = true;
  for (const at::ScalarType dtype : {at::kFloat, at::kBFloat16}) {
    for (const nn::Keep keep : nn::kKeeps) {
      Network network = seeing_network(dtype);
      const auto alone = gradients_after(network, std::vector{two_samples()}, keep);
      EXPECT_GT(alone[0].item<double>(), 0);
      for (const auto& batches :
           {std::vector{elsewhere}, {two_samples(), dummy}, {elsewhere, seeing_dummy}}) {
        const auto other = gradients_after(network, batches, keep);
        for (size_t i = 0; i < alone.size(); ++i) EXPECT_TRUE(other[i].equal(alone[i])) << i;
      }
    }
  }
}

/// Two samples behind an image of 2 x 2 merged patches.
data::Batch two_samples_and_an_image() {
  data::Batch batch = two_samples();
  batch.vision.grids = {{1, 4, 4}};
  batch.vision.rows = {0, 1, 2, 3};
  batch.vision.patches.assign(size_t{16} * 3 * 2 * 14 * 14, 0.5f);
  const std::vector<int32_t> one = batch.position_ids;
  for (int axis = 1; axis < 3; ++axis)
    batch.position_ids.insert(batch.position_ids.end(), one.begin(), one.end());
  return batch;
}

TEST(TrainStep, of_text_alone_moves_the_tower_as_adamw_on_zero_gradients) {
  Network network = seeing_network(at::kFloat);
  optim::OptimizerConfig config;
  config.weight_decay = 0.1;
  network.optimizer =
      std::make_unique<optim::Adamw>(network.memory.buckets, config, /*decay_everything=*/true);
  const auto step_of = [&](const data::Batch& batch) {
    const std::vector<nn::Batch> micro_steps{to_device(batch, 8, 32, at::kCPU)};
    const double rate = 1e-2;
    train_step(network, *objectives::next_token(), *plain_runner(), micro_steps, {}, {&rate, 1});
  };
  step_of(two_samples_and_an_image());
  struct Bucket {
    at::Tensor p, m, v;
  };
  const auto state = [&](size_t b) {
    return Bucket{network.memory.buckets[b].masters().clone(),
                  network.optimizer->first_moment(b).clone(),
                  network.optimizer->second_moment(b).clone()};
  };
  std::vector<Bucket> before;
  for (size_t b = 0; b < network.memory.buckets.size(); ++b) before.push_back(state(b));
  step_of(two_samples());
  const kernels::AdamwControl control = network.optimizer->control();
  EXPECT_EQ(control.applied, 2);
  const float decay = kernels::adamw_decay(control, {.weight_decay = config.weight_decay});
  size_t towers = 0;
  for (size_t b = 0; b < before.size(); ++b) {
    const parallel::Bucket& bucket = network.memory.buckets[b];
    if (bucket.layout().unit.find("visual") == std::string::npos) continue;
    ++towers;
    EXPECT_EQ(bucket.gradients().abs().max().item<float>(), 0.0f);
    EXPECT_GT(before[b].m.abs().max().item<float>(), 0.0f);
    auto* p = before[b].p.mutable_data_ptr<float>();
    auto* m = before[b].m.mutable_data_ptr<float>();
    auto* v = before[b].v.mutable_data_ptr<float>();
    for (int64_t i = 0; i < bucket.size(); ++i)
      kernels::adamw_element(p[i], m[i], v[i], 0.0f, control.factors, decay, control.step_sizes[0]);
    const Bucket after = state(b);
    EXPECT_TRUE(after.p.equal(before[b].p)) << bucket.layout().unit;
    EXPECT_TRUE(after.m.equal(before[b].m)) << bucket.layout().unit;
    EXPECT_TRUE(after.v.equal(before[b].v)) << bucket.layout().unit;
  }
  EXPECT_GE(towers, 2u);
}

}  // namespace
}  // namespace lmms::train
