#include "train/doctor_setup.h"

#include <gtest/gtest.h>

#include "core/error.h"
#include "train/model_setup.h"

namespace lmms::train {
namespace {

constexpr const char* kModel =
    "model_config.load_from_config={model_type: qwen3, config: {vocab_size: 301, hidden_size: 24, "
    "intermediate_size: 40, num_hidden_layers: 2, num_attention_heads: 2, num_key_value_heads: 1, "
    "head_dim: 10, tie_word_embeddings: true}}";

LoadedConfig tiny(const std::vector<std::string>& more) {
  std::vector<std::string> words{
      kModel,
      "dataset_config.dataset_type=vision",
      "dataset_config.dataset_format=jsonl",
      "dataset_config.dataset_path=none.jsonl",
      "dataset_config.processor_config={processor_name: none, processor_type: qwen2}",
      "trainer_args.per_device_train_batch_size=2"};
  words.insert(words.end(), more.begin(), more.end());
  return load_train_config(words);
}

struct Taken {
  int64_t weights = 0, masters = 0, gradients = 0, optimizer_states = 0, averages = 0;
};

/// What the network of a run takes in truth.
Taken taken(const LoadedConfig& loaded, int64_t micro_steps) {
  const step::Network network = step::make_network(make_model(loaded, {}).model,
                                                   network_options(loaded, micro_steps, c10::kCPU),
                                                   {.from = step::InitialWeights::From::later});
  Taken out;
  const auto bytes = [](const at::Tensor& t) {
    return t.defined() ? static_cast<int64_t>(t.nbytes()) : 0;
  };
  for (size_t b = 0; b < network.memory.buckets.size(); ++b) {
    const parallel::Bucket& bucket = network.memory.buckets[b];
    out.weights += bytes(bucket.local().weights);
    out.masters += bytes(bucket.local().masters);
    out.gradients += bytes(bucket.local().gradients);
    for (const optim::OptimizerState& state : network.optimizer->states())
      out.optimizer_states += bytes(state.flats[b]);
    if (network.ema) out.averages += bytes(network.ema->stored(b));
  }
  return out;
}

TEST(RunNeeds, are_what_a_run_takes) {
  const std::string accumulate = "trainer_args.gradient_accumulation_steps=3";
  const std::vector<std::vector<std::string>> cases{
      {},
      {"trainer_args.bf16=true"},
      {"trainer_args.bf16=true", accumulate},
      {"trainer_args.bf16=true", "trainer_args.master_weights=false"},
      {"trainer_args.bf16=true", "trainer_args.master_weights=false",
       "trainer_args.ema_enabled=true"},
      {accumulate, "trainer_args.freeze_modules=[model.embed_tokens]"},
      {"trainer_args.bf16=true", "trainer_args.freeze_modules=[model.layers.0]"},
      {"trainer_args.ema_enabled=true", "trainer_args.freeze_modules=[model.layers.0]"}};
  for (const auto& words : cases) {
    const LoadedConfig loaded = tiny(words);
    const step::NetworkSize needs = run_needs(loaded, {}).network;
    const Taken truth = taken(loaded, loaded.config.trainer.gradient_accumulation_steps);
    EXPECT_EQ(needs.weights, truth.weights);
    EXPECT_EQ(needs.masters, truth.masters);
    EXPECT_EQ(needs.gradients, truth.gradients);
    EXPECT_EQ(needs.optimizer_states, truth.optimizer_states);
    EXPECT_EQ(needs.averages, truth.averages);
  }
}

TEST(RunNeeds, know_how_many_checkpoints_will_come) {
  EXPECT_EQ(run_needs(tiny({}), {}).to_save, std::nullopt);
  EXPECT_EQ(
      run_needs(tiny({"trainer_args.max_steps=2000", "trainer_args.save_steps=300"}), {}).to_save,
      6);
  EXPECT_EQ(
      run_needs(tiny({"trainer_args.max_steps=2000", "trainer_args.save_steps=0.25"}), {}).to_save,
      4);
  EXPECT_FALSE(run_needs(tiny({"trainer_args.save_strategy=no"}), {}).saves);
}

TEST(RunNeeds, refuse_what_training_refuses) {
  for (const char* word : {"trainer_args.freeze_modules=[model.lyers]",
                           "model_config.load_from_config.model_type=quen"}) {
    const LoadedConfig loaded = tiny({word});
    EXPECT_THROW((void)run_needs(loaded, {}), Error) << word;
  }
}

}  // namespace
}  // namespace lmms::train
