#pragma once
/// Small models with every kind of unit, and steps for them: what tests of plans, traces and
/// devices share.
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "data/loader.h"
#include "models/registry_testing.h"
#include "optim/adamw.h"
#include "step/step.h"

namespace lmms::step {

inline nlohmann::json small_text_model() {
  return {{"model_type", "qwen3"},        {"vocab_size", 512},
          {"hidden_size", 128},           {"intermediate_size", 384},
          {"num_hidden_layers", 6},       {"num_attention_heads", 4},
          {"num_key_value_heads", 2},     {"head_dim", 32},
          {"tie_word_embeddings", false}, {"max_position_embeddings", 4096}};
}

/// With windows and whole frames, and an MLP whose width is padded inside.
inline nlohmann::json small_seeing_model() {
  return {{"model_type", "qwen2_5_vl"},
          {"vocab_size", 512},
          {"hidden_size", 64},
          {"intermediate_size", 128},
          {"num_hidden_layers", 3},
          {"num_attention_heads", 2},
          {"num_key_value_heads", 1},
          {"max_position_embeddings", 4096},
          {"image_token_id", 30},
          {"video_token_id", 31},
          {"rope_scaling", {{"type", "mrope"}, {"mrope_section", {4, 6, 6}}}},
          {"vision_config",
           {{"depth", 4},
            {"hidden_size", 64},
            {"intermediate_size", 132},
            {"num_heads", 2},
            {"out_hidden_size", 64},
            {"patch_size", 14},
            {"window_size", 112},
            {"fullatt_block_indexes", {1, 3}}}}};
}

/// With LayerNorms, positions that are interpolated, features for the first layers, and axes that
/// take turns.
inline nlohmann::json small_deepstack_model() {
  return {{"model_type", "qwen3_vl"},
          {"image_token_id", 30},
          {"video_token_id", 31},
          {"vision_start_token_id", 29},
          {"text_config",
           {{"vocab_size", 512},
            {"hidden_size", 64},
            {"intermediate_size", 128},
            {"num_hidden_layers", 3},
            {"num_attention_heads", 4},
            {"num_key_value_heads", 2},
            {"head_dim", 32},
            {"max_position_embeddings", 4096},
            {"rope_scaling", {{"mrope_section", {6, 5, 5}}, {"rope_type", "default"}}}}},
          {"vision_config",
           {{"depth", 3},
            {"hidden_size", 64},
            {"intermediate_size", 128},
            {"num_heads", 2},
            {"out_hidden_size", 64},
            {"patch_size", 16},
            {"num_position_embeddings", 64},
            {"deepstack_visual_indexes", {0, 1}}}}};
}

/// A step of one row: segments of these lengths, half of the tokens trained; `images` of 16 x 16
/// patches of `patch` pixels a side (64 tokens each) stand at its front.
inline data::StepBatch small_step(const std::vector<int64_t>& lengths, int64_t images = 0,
                                  int64_t patch = 14) {
  constexpr int64_t kSide = 16, kTokens = kSide * kSide / 4;
  data::Batch row;
  for (const int64_t length : lengths) {
    data::Segment segment;
    segment.start = static_cast<int32_t>(row.tokens());
    segment.length = static_cast<int32_t>(length);
    segment.sample = static_cast<int32_t>(row.segments.size());
    row.segments.push_back(segment);
    for (int64_t i = 0; i < length; ++i) {
      row.input_ids.push_back(static_cast<int32_t>(i % 29));
      row.labels.push_back(1);
      row.weights.push_back(i % 2 == 0 ? 1.0f : 0.0f);
      row.supervised_tokens += i % 2 == 0 ? 1 : 0;
      row.position_ids.push_back(static_cast<int32_t>(i));
    }
  }
  row.valid_tokens = row.tokens();
  row.samples = row.rows = 1;
  for (int64_t i = 0; i < images; ++i) {
    row.media[kVision].grids.push_back({1, kSide, kSide});
    for (int64_t k = 0; k < kTokens; ++k) row.media[kVision].rows.push_back(kTokens * i + k);
  }
  if (images > 0) {
    std::vector<float>& values = row.media[kVision].values;
    values.resize(static_cast<size_t>(images * kSide * kSide * 3 * 2 * patch * patch));
    for (size_t k = 0; k < values.size(); ++k)
      values[k] = static_cast<float>(k * 7919 % 2001) / 1000 - 1;
  }
  if (images > 0) {  // three axes
    const std::vector<int32_t> one = row.position_ids;
    for (int axis = 1; axis < 3; ++axis)
      row.position_ids.insert(row.position_ids.end(), one.begin(), one.end());
  }
  data::StepBatch step;
  step.step = 1;
  step.tokens = row.valid_tokens;
  step.supervised_tokens = row.supervised_tokens;
  step.samples = step.rows = 1;
  step.micro_steps.push_back(std::move(row));
  return step;
}

/// With random weights and an optimiser, the only network of a training.
inline TrainState small_state(const nlohmann::json& config, const nn::MemoryOptions& memory,
                              const optim::OptimizerConfig& optimizer = {}) {
  TrainState state;
  state.networks.push_back(make_network(models::model_entry(config, "test").make(config, "test"),
                                        {.name = objectives::kMainNetwork,
                                         .memory = memory,
                                         .optimizer = optimizer,
                                         .make_optimizer = optim::make_adamw,
                                         .seed = 1},
                                        {}));
  return state;
}

}  // namespace lmms::step
