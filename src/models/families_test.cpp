// What every model type owes the engine, whatever its family: weights are read in scopes of their
// units, forward and when backward runs a unit again on another thread, and what is kept changes no
// bit.
#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/full.h>
#include <ATen/ops/linspace.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>
#include <vector>

#include "kernels/scatter_rows/scatter_rows.h"
#include "models/denoiser.h"
#include "models/registry_testing.h"
#include "nn/memory.h"
#include "nn/scope.h"

namespace lmms::models {
namespace {

using nlohmann::json;

constexpr int64_t kTokens = 12, kVocabulary = 40;

/// A small model, and one image if it sees any.
struct Small {
  json config;
  PatchGrid grid = {};
  int64_t patch_values = 0, image_tokens = 0;
};

json text(const char* type) {
  return {{"model_type", type},
          {"vocab_size", kVocabulary},
          {"hidden_size", 16},
          {"intermediate_size", 24},
          {"num_hidden_layers", 3},
          {"num_attention_heads", 2},
          {"num_key_value_heads", 1},
          {"head_dim", 8},
          {"max_position_embeddings", 64},
          {"initializer_range", 0.2}};
}

json seeing(const char* type, const json& vision) {
  json config = text(type);
  config.erase("head_dim");  // refused beside the keys of a text model that are at the top
  config["rope_scaling"] = {{"rope_type", "default"}, {"mrope_section", {2, 1, 1}}};
  config["vision_config"] = {{"hidden_size", 16}, {"intermediate_size", 12}, {"num_heads", 2},
                             {"depth", 3},        {"out_hidden_size", 16},   {"patch_size", 2}};
  config["vision_config"].update(vision);
  config["image_token_id"] = 30;
  config["video_token_id"] = 31;
  config["vision_start_token_id"] = 29;
  return config;
}

json deepstack() {
  json config =
      seeing("qwen3_vl", {{"num_position_embeddings", 16}, {"deepstack_visual_indexes", {0, 1}}});
  config["text_config"] = text("qwen3_vl_text");
  config["text_config"]["rope_scaling"] = config["rope_scaling"];
  return config;
}

json tiles() {
  return {{"model_type", "llava_onevision"},
          {"text_config", text("qwen2")},
          {"vision_config",
           {{"model_type", "siglip_vision_model"},
            {"hidden_size", 16},
            {"intermediate_size", 12},
            {"num_attention_heads", 2},
            {"num_hidden_layers", 2},
            {"image_size", 4},
            {"patch_size", 2}}},
          {"vision_feature_layer", -1},
          {"vision_feature_select_strategy", "full"},
          {"image_grid_pinpoints", {{4, 4}, {4, 8}}},
          {"image_token_index", 30},
          {"video_token_index", 31}};
}

/// By model_type; a new type joins here.
const std::map<std::string, Small>& small_models() {
  static const std::map<std::string, Small> models{
      {"qwen2", {text("qwen2")}},
      {"qwen3", {text("qwen3")}},
      {"llama", {text("llama")}},
      {"qwen3_dllm", {text("qwen3_dllm")}},
      {"dream_dllm", {text("dream_dllm")}},
      {"llada_dllm", {text("llada_dllm")}},
      {"Dream", {text("Dream")}},
      {"qwen2_5_vl",
       {seeing("qwen2_5_vl", {{"fullatt_block_indexes", {1}}, {"window_size", 4}}),
        {1, 4, 4},
        24,
        4}},
      {"qwen3_vl", {deepstack(), {1, 4, 4}, 24, 4}},
      {"llava_onevision", {tiles(), {1, 2, 2}, 12, 5}},
      {"sit",
       {{{"model_type", "sit"},
         {"input_size", 4},
         {"hidden_size", 16},
         {"depth", 2},
         {"num_heads", 2},
         {"num_classes", 3}}}},
  };
  return models;
}

nn::Batch batch_of(const Small& small) {
  nn::Batch b;
  b.input_ids = (at::arange(kTokens, at::kInt) * 7).remainder(29);
  b.position_ids = at::arange(kTokens, at::kInt);
  b.attention = kernels::attention_plan({kTokens - 3, 3}, at::kCPU);
  b.supervised = at::arange(1, kTokens, 2, at::kLong);
  b.targets = at::arange(b.supervised.numel(), at::kLong);
  b.weights = at::full({b.supervised.numel()}, 0.25f);
  if (small.image_tokens == 0) return b;
  if (small.config["model_type"] != "llava_onevision")
    b.position_ids = b.position_ids.expand({3, kTokens}).contiguous();
  const int64_t patches = small.grid.patches();
  b.media[kVision] = {
      std::string(kVision),
      at::linspace(-1, 1, patches * small.patch_values).view({patches, small.patch_values}),
      {small.grid},
      {ViewLayout{}},
      at::arange(2, 2 + small.image_tokens, at::kLong)};
  return b;
}

/// Two samples, one of them without a class.
NoisyInput noisy_samples(const Denoiser& model) {
  const LatentShape shape = model.shape();
  NoisyInput in;
  in.x = at::linspace(-2, 2, 2 * shape.values()).view({-1, shape.patch_values()});
  in.t = at::linspace(0.3, 0.8, 2);
  in.classes = at::arange(model.classes() - 1, model.classes() + 1, at::kLong);
  in.attention = kernels::attention_plan(std::vector<int64_t>(2, shape.patches()), at::kCPU,
                                         AttentionMode::full);
  return in;
}

class EveryModel : public testing::TestWithParam<std::string> {
 protected:
  EveryModel() : small_(small_models().at(GetParam())) {
    model_ = model_entry(small_.config, "config.json").make(small_.config, "config.json");
    memory_ = nn::allocate(model_->params(), {});
    nn::initialise(model_->params(), memory_, 3);
    if (model_->denoiser() == nullptr) {
      batch_ = batch_of(small_);
      return;
    }
    for (const nn::Param& p : model_->params().all()) {  // what starts at 0 hides the rest
      if (p.init.law == nn::Init::Law::zeros)
        p.leaf().detach().copy_(at::linspace(-0.2, 0.3, p.leaf().numel()).view_as(p.leaf()));
    }
  }
  const LanguageModel& language() const { return *model_->language_model(); }

  at::Tensor loss_of(const nn::RunContext& context) const {
    if (const Denoiser* denoiser = model_->denoiser())
      return denoiser->predict(noisy_samples(*denoiser), context).square().sum();
    const at::Tensor hidden = language().hidden(batch_, context).hidden;
    return language().loss(kernels::select_rows(hidden, batch_.supervised), batch_.targets,
                           batch_.weights, {}, context);
  }

  /// The loss, after a backward on a thread of its own.
  double step(nn::Keep keep) {
    for (parallel::Bucket& bucket : memory_.buckets) bucket.zero_gradients();
    const at::Tensor loss = loss_of({keep, {}, {}});
    std::thread([&] { torch::autograd::backward({loss}, {}); }).join();
    return loss.item<double>();
  }
  std::vector<at::Tensor> gradients() const {
    std::vector<at::Tensor> copies;
    for (const parallel::Bucket& bucket : memory_.buckets) {
      if (bucket.layout().key.trainable) copies.push_back(bucket.whole().gradients.clone());
    }
    return copies;
  }

  Small small_;
  std::unique_ptr<Model> model_;
  nn::ModelMemory memory_;
  nn::Batch batch_;  // of a language model; outlives backward, which may run layers again
};

TEST_P(EveryModel, reads_weights_in_their_units_and_gives_the_same_bits_whatever_is_kept) {
  const double loss = step(nn::Keep::everything);
  const auto expected = gradients();
  for (const at::Tensor& g : expected) EXPECT_GT(g.abs().sum().item<double>(), 0);
  for (const nn::Keep keep : nn::kKeeps) {
    EXPECT_EQ(step(keep), loss);
    const auto ours = gradients();
    for (size_t i = 0; i < ours.size(); ++i)
      EXPECT_TRUE(ours[i].equal(expected[i]))
          << "bucket " << i << ", Keep " << static_cast<int>(keep);
  }
  EXPECT_EQ(nn::open_units(), "none");
}

class EveryLanguageModel : public EveryModel {};

TEST_P(EveryLanguageModel, gives_logits_log_probabilities_and_a_loss_that_agree) {
  const nn::Batch batch = batch_of(small_);
  const at::Tensor h =
      kernels::select_rows(language().hidden(batch, {}).hidden, batch.supervised).detach();
  const at::Tensor logits = language().logits(h, {}),
                   log_p = language().log_probabilities(h, batch.targets, {});
  EXPECT_EQ(logits.size(1), language().vocab_size());
  const at::Tensor expected =
      logits.log_softmax(1).gather(1, batch.targets.unsqueeze(1)).squeeze(1);
  EXPECT_LE((log_p - expected).abs().max().item<double>(), 1e-5);
  EXPECT_NEAR(language().loss(h, batch.targets, batch.weights, {}, {}).item<double>(),
              -(log_p * batch.weights).sum().item<double>(), 1e-5);
}

std::vector<std::string> types(bool language_alone) {
  std::vector<std::string> names;
  for (const auto& entry : built_in_models().entries()) {
    const std::string type = entry.value.model_type;
    const auto small = small_models().find(type);
    const bool denoises = small != small_models().end() &&
                          entry.value.make(small->second.config, type)->denoiser() != nullptr;
    if (!language_alone || !denoises) names.push_back(type);
  }
  return names;
}

INSTANTIATE_TEST_SUITE_P(Types, EveryModel, testing::ValuesIn(types(false)),
                         [](const auto& info) { return info.param; });
INSTANTIATE_TEST_SUITE_P(Types, EveryLanguageModel, testing::ValuesIn(types(true)),
                         [](const auto& info) { return info.param; });

}  // namespace
}  // namespace lmms::models
