#include "step/cost_model.h"

#include <gtest/gtest.h>

#include <array>
#include <nlohmann/json.hpp>
#include <vector>

#include "models/registry_testing.h"

namespace lmms::step {
namespace {

std::unique_ptr<models::Model> made(const nlohmann::json& config) {
  return models::model_entry(config, "test").make(config, "test");
}

std::unique_ptr<models::Model> qwen3() {
  return made({{"model_type", "qwen3"},
               {"vocab_size", 1000},
               {"hidden_size", 64},
               {"intermediate_size", 128},
               {"num_hidden_layers", 3},
               {"num_attention_heads", 4},
               {"num_key_value_heads", 2},
               {"head_dim", 16},
               {"max_position_embeddings", 8192}});
}

/// Windows of 8 x 8 patches in two of three layers.
std::unique_ptr<models::Model> qwen2_5_vl() {
  return made({{"model_type", "qwen2_5_vl"},
               {"vocab_size", 1000},
               {"hidden_size", 64},
               {"intermediate_size", 128},
               {"num_hidden_layers", 3},
               {"num_attention_heads", 4},
               {"num_key_value_heads", 2},
               {"max_position_embeddings", 8192},
               {"image_token_id", 998},
               {"video_token_id", 999},
               {"rope_scaling", {{"type", "mrope"}, {"mrope_section", {2, 3, 3}}}},
               {"vision_config",
                {{"depth", 3},
                 {"hidden_size", 32},
                 {"intermediate_size", 64},
                 {"num_heads", 2},
                 {"out_hidden_size", 64},
                 {"patch_size", 14},
                 {"window_size", 112},
                 {"fullatt_block_indexes", {2}}}}});
}

double relative(double a, double b) {
  return std::abs(a - b) / std::abs(b);
}

TEST(CostModel, of_a_text_model_is_its_flops) {
  const auto model = qwen3();
  const data::CostModel costs = cost_model_of(*model);
  for (const int64_t n : {int64_t{100}, int64_t{777}, int64_t{8000}}) {
    const std::array lengths{n};
    const double flops = model->train_flops({.lengths = lengths, .supervised = n / 3});
    EXPECT_LT(relative(1000.0 * static_cast<double>(costs.cost(n, n / 3, {})), flops), 1e-4) << n;
  }
  EXPECT_EQ(costs.cost(0, 0, {{std::string(kVision), {{1, 32, 32}}}}), 0);
}

TEST(CostModel, of_a_model_that_sees_is_its_flops_with_whole_windows) {
  const auto model = qwen2_5_vl();
  const data::CostModel costs = cost_model_of(*model);
  const MediaList<MediaGrids> media{{std::string(kVision), {{1, 40, 64}, {1, 16, 8}, {5, 24, 24}}}};
  const std::array lengths{int64_t{1500}};
  const double flops = model->train_flops({.lengths = lengths, .supervised = 200, .media = media});
  EXPECT_LT(relative(1000.0 * static_cast<double>(costs.cost(1500, 200, media)), flops), 1e-4);
}

TEST(CostModel, of_a_frozen_tower_is_its_forward_alone) {
  const auto whole = qwen2_5_vl(), frozen = qwen2_5_vl();
  frozen->params().freeze("visual", "");
  const data::CostModel all = cost_model_of(*whole), some = cost_model_of(*frozen);
  EXPECT_DOUBLE_EQ(some.token, all.token);
  const data::MediaCost &part = some.media.of(kVision), &whole_cost = all.media.of(kVision);
  EXPECT_NEAR(part.patch_pair / whole_cost.patch_pair, 1.0 / 3, 1e-6);
  EXPECT_LT(part.patch, 0.4 * whole_cost.patch);
}

}  // namespace
}  // namespace lmms::step
