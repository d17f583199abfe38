#include "step/step.h"

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/ops/equal.h>
#include <gtest/gtest.h>

#include "data/collate.h"
#include "step/device_batch.h"
#include "step/small_steps_testing.h"

namespace lmms::step {
namespace {

TrainState tiny_state() {
  return small_state({{"model_type", "qwen3"},
                      {"vocab_size", 32},
                      {"hidden_size", 16},
                      {"intermediate_size", 32},
                      {"num_hidden_layers", 2},
                      {"num_attention_heads", 2},
                      {"num_key_value_heads", 1},
                      {"head_dim", 8},
                      {"tie_word_embeddings", false},
                      {"max_position_embeddings", 64}},
                     {});
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

/// Batches whose sums are divided by 8.
std::vector<MicroStep> on_device(std::span<const data::Batch> batches) {
  std::vector<MicroStep> out;
  for (const data::Batch& batch : batches) out.push_back({to_device(batch, 8, 32, at::kCPU), {8}});
  return out;
}

double step(TrainState& state, const data::Batch& batch, nn::Keep keep, double learning_rate) {
  nn::RunContext context;
  context.keep = keep;
  const std::vector<std::vector<double>> rates{{learning_rate}};
  return train_step(state, *objectives::next_token(), *plain_runner(), on_device({{batch}}),
                    context, rates)
      .loss.item<double>();
}

double step(TrainState& state, nn::Keep keep, double learning_rate) {
  return step(state, two_samples(), keep, learning_rate);
}

TEST(TrainStep, lowers_the_loss_of_its_own_batch) {
  TrainState state = tiny_state();
  const double before = step(state, nn::Keep::products, 1e-2);
  double after = before;
  for (int i = 0; i < 10; ++i) after = step(state, nn::Keep::products, 1e-2);
  EXPECT_LT(after, 0.5 * before);
}

TEST(TrainStep, draws_nothing_from_the_default_generator_of_torch) {
  const at::Generator generator = at::detail::getDefaultCPUGenerator();
  const at::Tensor before = generator.get_state();
  TrainState state = tiny_state();
  step(state, nn::Keep::products, 1e-3);
  step(state, nn::Keep::inputs, 1e-3);
  EXPECT_TRUE(at::equal(generator.get_state(), before));
}

TEST(TrainStep, at_a_learning_rate_of_0_changes_no_weight) {
  TrainState state = tiny_state();
  const double first = step(state, nn::Keep::products, 0);
  EXPECT_EQ(step(state, nn::Keep::products, 0), first);
  EXPECT_EQ(state.main().decision->control().applied, 2);
}

/// Windows and whole frames, everything trained.
TrainState seeing_state(at::ScalarType dtype, const optim::OptimizerConfig& optimizer = {}) {
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
  nn::MemoryOptions memory;
  memory.dtype = dtype;
  return small_state(config, memory, optimizer);
}

std::vector<at::Tensor> gradients_after(TrainState& state, std::span<const data::Batch> batches,
                                        nn::Keep keep) {
  std::vector<parallel::Bucket>& buckets = state.main().memory.buckets;
  for (parallel::Bucket& bucket : buckets) bucket.zero_gradients();
  nn::RunContext context;
  context.keep = keep;
  const auto objective = objectives::next_token();
  objectives::StepValues values;
  plain_runner()->run(state, objective->phases().front(), on_device(batches), context, values);
  std::vector<at::Tensor> out{values.loss};
  for (const parallel::Bucket& bucket : buckets) out.push_back(bucket.whole().gradients.clone());
  return out;
}

TEST(TrainStep, has_the_bits_of_its_own_rows_where_other_ranks_have_images_or_it_has_no_row) {
  data::Batch elsewhere = two_samples();
  elsewhere.media[kVision];
  data::Batch dummy = data::dummy_batch(1, 0), seeing_dummy = dummy;
  seeing_dummy.media[kVision];
  for (const at::ScalarType dtype : {at::kFloat, at::kBFloat16}) {
    for (const nn::Keep keep : nn::kKeeps) {
      TrainState state = seeing_state(dtype);
      const auto alone = gradients_after(state, std::vector{two_samples()}, keep);
      EXPECT_GT(alone[0].item<double>(), 0);
      for (const auto& batches :
           {std::vector{elsewhere}, {two_samples(), dummy}, {elsewhere, seeing_dummy}}) {
        const auto other = gradients_after(state, batches, keep);
        for (size_t i = 0; i < alone.size(); ++i) EXPECT_TRUE(other[i].equal(alone[i])) << i;
      }
    }
  }
}

/// Two samples behind an image of 2 x 2 merged patches.
data::Batch two_samples_and_an_image() {
  data::Batch batch = two_samples();
  data::PackedMedia& images = batch.media[kVision];
  images.grids = {{1, 4, 4}};
  images.rows = {0, 1, 2, 3};
  images.values.assign(size_t{16} * 3 * 2 * 14 * 14, 0.5f);
  const std::vector<int32_t> one = batch.position_ids;
  for (int axis = 1; axis < 3; ++axis)
    batch.position_ids.insert(batch.position_ids.end(), one.begin(), one.end());
  return batch;
}

TEST(TrainStep, of_text_alone_moves_the_tower_as_adamw_on_zero_gradients) {
  optim::OptimizerConfig config;
  config.weight_decay = 0.1;
  TrainState state = seeing_state(at::kFloat, config);
  Network& network = state.main();
  network.optimizer = optim::make_adamw(
      {.buckets = network.memory.buckets, .config = config, .decay_everything = true});
  step(state, two_samples_and_an_image(), nn::Keep::products, 1e-2);
  struct Elements {
    at::Tensor p, m, v;
  };
  const auto elements = [&](size_t b) {
    const auto states = network.optimizer->states();
    return Elements{network.memory.buckets[b].local().exact().clone(), states[0].flats[b].clone(),
                    states[1].flats[b].clone()};
  };
  std::vector<Elements> before;
  for (size_t b = 0; b < network.memory.buckets.size(); ++b) before.push_back(elements(b));
  step(state, two_samples(), nn::Keep::products, 1e-2);
  EXPECT_EQ(network.decision->control().applied, 2);
  const kernels::AdamwStep numbers =
      dynamic_cast<const optim::Adamw&>(*network.optimizer).numbers();
  const float decay = kernels::adamw_decay(numbers, {.weight_decay = config.weight_decay});
  size_t towers = 0;
  for (size_t b = 0; b < before.size(); ++b) {
    const parallel::Bucket& bucket = network.memory.buckets[b];
    if (bucket.layout().key.unit.find("visual") == std::string::npos) continue;
    ++towers;
    EXPECT_EQ(bucket.whole().gradients.abs().max().item<float>(), 0.0f);
    EXPECT_GT(before[b].m.abs().max().item<float>(), 0.0f);
    auto* p = before[b].p.mutable_data_ptr<float>();
    auto* m = before[b].m.mutable_data_ptr<float>();
    auto* v = before[b].v.mutable_data_ptr<float>();
    for (int64_t i = 0; i < bucket.size(); ++i) {
      kernels::adamw_element(p[i], m[i], v[i], 0.0f, numbers.factors, decay, numbers.step_sizes[0]);
    }
    const Elements after = elements(b);
    EXPECT_TRUE(after.p.equal(before[b].p)) << bucket.layout().key.unit;
    EXPECT_TRUE(after.m.equal(before[b].m)) << bucket.layout().key.unit;
    EXPECT_TRUE(after.v.equal(before[b].v)) << bucket.layout().key.unit;
  }
  EXPECT_GE(towers, 2u);
}

}  // namespace
}  // namespace lmms::step
