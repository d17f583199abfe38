// What overwrite_config does to a config.json, and what is said of keys that would change nothing.
#include "models/overwrite.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/error.h"
#include "models/registry_testing.h"

namespace lmms::models {
namespace {

using nlohmann::json;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

const json kText = {{"vocab_size", 96},         {"hidden_size", 32},
                    {"intermediate_size", 48},  {"num_hidden_layers", 1},
                    {"num_attention_heads", 4}, {"head_dim", 8},
                    {"num_key_value_heads", 2}, {"rms_norm_eps", 1e-6}};

json with(json config, const json& more) {
  config.update(more);
  return config;
}

const json kQwen = with(kText, {{"model_type", "qwen3"}, {"rope_theta", 1e6}});
const json kQwen5 =  // as transformers 5 writes it
    with(kText, {{"model_type", "qwen3"},
                 {"rope_parameters", {{"rope_type", "default"}, {"rope_theta", 1e6}}}});
const json kMrope = {{"rope_parameters", {{"mrope_section", {1, 1, 2}}, {"rope_theta", 1e6}}}};
const json kVision = {{"depth", 1},
                      {"hidden_size", 32},
                      {"num_heads", 4},
                      {"intermediate_size", 48},
                      {"out_hidden_size", 32},
                      {"fullatt_block_indexes", {0}}};
const json kTokens = {{"image_token_id", 90}, {"video_token_id", 91}, {"vision_config", kVision}};
const json kNested =
    with(kTokens, {{"model_type", "qwen2_5_vl"}, {"text_config", with(kText, kMrope)}});
json without(json config, const char* key) {
  config.erase(key);
  return config;
}

const json kFlat =  // as the hub has it
    with(without(kText, "head_dim"), with(kTokens, with(kMrope, {{"model_type", "qwen2_5_vl"}})));

// The error, or nothing.
std::string said(const json& config, const json& overwrite) {
  try {
    const json whole = overwritten(config, overwrite, "a.yaml:3:1");
    const auto model = model_entry(whole, "config.json").make(whole, "config.json");
    check_overwrite(overwrite, *model, "a.yaml:3:1");
    return "";
  } catch (const Error& e) {
    EXPECT_EQ(e.exit(), Exit::bad_input);
    return e.what();
  }
}

TEST(Overwrite, replaces_values_and_keeps_the_rest_of_a_section) {
  const json config = {{"a", 1},
                       {"rope_scaling", {{"type", "mrope"}, {"factor", 2}}},
                       {"vision_config", {{"depth", 3}, {"patch_size", 14}}}};
  const json got = overwritten(config,
                               {{"a", nullptr},
                                {"b", 2},
                                {"rope_scaling", {{"type", "yarn"}}},
                                {"vision_config", {{"depth", 4}}}},
                               "");
  EXPECT_EQ(got, json({{"a", nullptr},
                       {"b", 2},
                       {"rope_scaling", {{"type", "yarn"}}},
                       {"vision_config", {{"depth", 4}, {"patch_size", 14}}}}));
  EXPECT_EQ(overwritten(got, {{"vision_config", {{"depth", 4}}}}, ""), got);  // twice as once
  EXPECT_EQ(overwritten({}, {{"vision_config", {{"depth", 4}}}}, "")["vision_config"]["depth"], 4);
}

TEST(Overwrite, names_the_nearest_key_of_a_mistyped_one) {
  EXPECT_THAT(said(kQwen, {{"rms_norm_epss", 1e-5}}),
              HasSubstr("a.yaml:3:1: rms_norm_epss: unknown key; did you mean 'rms_norm_eps'?"));
  EXPECT_THAT(said(kQwen, {{"use_cashe", false}}), HasSubstr("did you mean 'use_cache'?"));
  EXPECT_THAT(said(kNested, {{"text_config", {{"rms_norm_epss", 1e-5}}}}),
              HasSubstr("text_config.rms_norm_epss: unknown key; did you mean 'rms_norm_eps'?"));
  EXPECT_THAT(said(kNested, {{"vision_config", {{"windw_size", 56}}}}),
              HasSubstr("vision_config.windw_size: unknown key; did you mean 'window_size'?"));
  EXPECT_THAT(said(kNested, {{"rms_norm_epss", 1e-5}}),
              HasSubstr("rms_norm_epss: unknown key; did you mean 'text_config.rms_norm_eps'?"));
  EXPECT_THAT(
      said(kQwen, {{"rope_scaling", {{"rope_type", "yarn"}, {"factor", 2}, {"beta_fats", 8}}}}),
      HasSubstr("rope_scaling.beta_fats: unknown key; did you mean 'beta_fast'?"));
  EXPECT_THAT(said(kQwen, {{"mamba_d_state", 3}}),
              AllOf(HasSubstr("mamba_d_state: unknown key"), Not(HasSubstr("did you mean"))));
  EXPECT_THAT(said(kQwen, {{"rms_norm_epss", 1e-5}, {"rope_tetha", 5}}),
              AllOf(HasSubstr("'rms_norm_eps'"), HasSubstr("'rope_theta'")));
}

TEST(Overwrite, takes_keys_that_count_and_keys_that_training_has_no_use_for) {
  EXPECT_EQ(
      said(kQwen, {{"rms_norm_eps", 1e-5}, {"rope_theta", 5e5}, {"tie_word_embeddings", true}}),
      "");
  EXPECT_EQ(said(kQwen, {{"use_cache", false},
                         {"bos_token_id", 1},
                         {"torch_dtype", "bfloat16"},
                         {"dtype", "float16"},
                         {"_attn_implementation", "sdpa"},
                         {"architectures", {"X"}},
                         {"output_hidden_states", true},
                         {"model_type", "qwen3"},
                         {"temperature", 0.5}}),
            "");
  EXPECT_EQ(said(kQwen, {{"rope_scaling", {{"rope_type", "yarn"}, {"factor", 4}}}}), "");
  EXPECT_EQ(said(kQwen, {{"sliding_window", nullptr}, {"use_sliding_window", false}}), "");
  EXPECT_EQ(
      said(kQwen, {{"sliding_window", 4}, {"use_sliding_window", true}, {"max_window_layers", 0}}),
      "");
  EXPECT_EQ(said(kNested, {{"text_config", {{"rms_norm_eps", 1e-5}, {"use_cache", true}}}}), "");
  EXPECT_EQ(said(kFlat, {{"rms_norm_eps", 1e-5}, {"vision_config", {{"tokens_per_second", 1}}}}),
            "");
}

TEST(Overwrite, names_the_place_of_a_key_that_stands_in_the_wrong_one) {
  EXPECT_THAT(said(kNested, {{"rms_norm_eps", 1e-5}}),
              HasSubstr("rms_norm_eps: has no effect: this model's config keeps it as "
                        "text_config.rms_norm_eps"));
  EXPECT_THAT(said(kNested, {{"hidden_act", "silu"}}),
              HasSubstr("text_config.hidden_act or vision_config.hidden_act"));
  EXPECT_THAT(said(kNested, {{"text_config", {{"window_size", 56}}}}),
              HasSubstr("vision_config.window_size"));
  EXPECT_THAT(said(kFlat, {{"text_config", {{"rms_norm_eps", 1e-5}}}}),
              HasSubstr("keeps the keys of the text model at its top"));
  EXPECT_THAT(said(kQwen, {{"text_config", {{"rms_norm_eps", 1e-5}}}}),
              HasSubstr("keeps the keys of the text model at its top"));
}

TEST(Overwrite, names_keys_without_effect_under_the_config_there_is) {
  EXPECT_THAT(said(kQwen5, {{"rope_theta", 5e5}}), HasSubstr("rope_theta: has no effect"));
  EXPECT_EQ(said(kQwen5,
                 {{"rope_scaling", {{"rope_type", "linear"}, {"factor", 2}}}, {"rope_theta", 5e5}}),
            "");
  EXPECT_THAT(said(with(kQwen, {{"rope_scaling", {{"type", "linear"}, {"factor", 2}}}}),
                   {{"rope_parameters", {{"rope_theta", 5}}}}),
              HasSubstr("rope_parameters: has no effect: rope_scaling stands beside it"));
  EXPECT_THAT(said(kQwen, {{"sliding_window", 8}}), HasSubstr("use_sliding_window is not true"));
  EXPECT_THAT(
      said(kQwen, {{"rope_scaling", {{"rope_type", "linear"}, {"factor", 2}, {"mscale", 1}}}}),
      HasSubstr("rope_scaling.mscale: has no effect with this rope_type"));
  json tied = kNested;
  tied["text_config"]["tie_word_embeddings"] = true;
  EXPECT_THAT(said(tied, {{"tie_word_embeddings", false}}),
              HasSubstr("text_config.tie_word_embeddings is true"));
}

TEST(KeyFaults, tell_mistyped_keys_of_a_whole_config_from_idle_ones) {
  const json config = with(kQwen, {{"hiden_size", 32}, {"sliding_window", 4}});
  const auto model = model_entry(config, "c").make(config, "c");
  const std::vector<KeyFault> faults = key_faults(config, *model);
  ASSERT_EQ(faults.size(), 2u);
  EXPECT_TRUE(faults[0].unknown);
  EXPECT_THAT(faults[0].text, HasSubstr("hiden_size: unknown key; did you mean 'hidden_size'?"));
  EXPECT_FALSE(faults[1].unknown);
}

TEST(Overwrite, refuses_by_name_what_is_not_built) {
  EXPECT_THAT(said(kQwen, {{"is_causal", false}}), HasSubstr("is_causal: not built"));
  EXPECT_THAT(said(kQwen, {{"attention_dropout", 0.1}}), HasSubstr("attention_dropout: not built"));
  EXPECT_THAT(said(kQwen, {{"per_layer_config", {{"0", json::object()}}}}),
              HasSubstr("per_layer_config: not built"));
  EXPECT_THAT(said(kQwen, {{"quantization_config", {{"quant_method", "awq"}}}}),
              HasSubstr("quantization_config: not built"));
  EXPECT_THAT(said(kQwen, {{"partial_rotary_factor", 0.5}}),
              HasSubstr("partial_rotary_factor: not built"));
}

}  // namespace
}  // namespace lmms::models
