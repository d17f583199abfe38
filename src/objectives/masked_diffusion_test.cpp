#include "objectives/masked_diffusion.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/error.h"
#include "models/registry_testing.h"
#include "objectives/masked_diffusion_testing.h"

namespace lmms::objectives {
namespace {

using testing::HasSubstr;

std::unique_ptr<models::Model> model_of(int64_t vocabulary, nlohmann::json more = {}) {
  nlohmann::json config = {{"model_type", "qwen3"},    {"vocab_size", vocabulary},
                           {"hidden_size", 8},         {"intermediate_size", 8},
                           {"num_hidden_layers", 1},   {"num_attention_heads", 1},
                           {"num_key_value_heads", 1}, {"head_dim", 8}};
  if (more.is_object()) config.update(more);
  return models::model_entry(config, "test").make(config, "test");
}

int32_t mask_of(const models::Model& model, std::optional<std::string> named = {}) {
  const text::Tokenizer tokenizer = letters(20);
  ObjectiveSetup setup{.model = model, .tokenizer = &tokenizer};
  setup.config.masked_diffusion.mask_token = std::move(named);
  return mask_token_of(setup);
}

std::string refusal(const auto& make) {
  try {
    (void)make();
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

TEST(MaskToken, is_the_named_one_that_of_the_config_or_a_free_id) {
  EXPECT_EQ(mask_of(*model_of(32)), 20);  // ids 0 to 19 are taken
  EXPECT_EQ(mask_of(*model_of(32), "[MASK]"), 19);
  EXPECT_EQ(mask_of(*model_of(32, {{"mask_token_id", 7}})), 7);
  EXPECT_EQ(mask_of(*model_of(32, {{"mask_token_id", 7}}), "[MASK]"), 19);
  EXPECT_THAT(refusal([] { return mask_of(*model_of(20)); }),
              HasSubstr("none of the model's 20 ids is free"));
  EXPECT_THAT(refusal([] { return mask_of(*model_of(32), "<gone>"); }),
              HasSubstr("trainer_args.masked_diffusion.mask_token: '<gone>' is no token"));
  EXPECT_THAT(refusal([] { return mask_of(*model_of(12), "[MASK]"); }),
              HasSubstr("vocabulary ends at 11"));
}

TEST(MaskedDiffusion, says_what_its_checkpoints_need) {
  const text::Tokenizer tokenizer = letters(20);
  const auto keys = [&](const models::Model& model, int64_t block_length) {
    ObjectiveSetup setup{.model = model, .tokenizer = &tokenizer};
    setup.config.masked_diffusion.block_length = block_length;
    return masked_diffusion(setup)->checkpoint_config();
  };
  EXPECT_EQ(keys(*model_of(32), 0), (nlohmann::json{{"mask_token_id", 20}}));
  EXPECT_EQ(keys(*model_of(32), 4),
            (nlohmann::json{{"mask_token_id", 20}, {"diffusion_block_length", 4}}));
  EXPECT_EQ(keys(*model_of(32, {{"diffusion_block_length", 4}}), 0).at("diffusion_block_length"),
            0);
  const auto dream =
      model_of(32, {{"model_type", "Dream"}, {"num_hidden_layers", 1}, {"mask_token_id", 30}});
  EXPECT_EQ(keys(*dream, 0), (nlohmann::json{{"mask_token_id", 30}, {"diffusion_shift", true}}));
  EXPECT_THAT(refusal([&] { return keys(*dream, 4); }), HasSubstr("block_length: not built"));
}

TEST(MaskedDiffusion, refuses_what_cannot_be_drawn) {
  const auto model = model_of(32);
  const text::Tokenizer tokenizer = letters(20);
  ObjectiveSetup setup{.model = *model, .tokenizer = nullptr};
  EXPECT_THAT(refusal([&] { return masked_diffusion(setup); }), HasSubstr("no texts"));
  setup.tokenizer = &tokenizer;
  setup.config.masked_diffusion.t_min = 0.9;
  setup.config.masked_diffusion.t_max = 0.2;
  EXPECT_THAT(refusal([&] { return masked_diffusion(setup); }),
              HasSubstr("masked_diffusion.t_min: 0.9 is more than t_max, 0.2"));
}

TEST(MaskedDiffusion, tells_terms_beside_its_loss) {
  const auto model = model_of(32);
  const text::Tokenizer tokenizer = letters(20);
  ObjectiveSetup setup{.model = *model, .tokenizer = &tokenizer};
  const auto told = [&] {
    const auto objective = masked_diffusion(setup);
    std::vector<std::string> out;
    for (size_t t = 0; t < objective->terms().size(); ++t)
      if (is_told(*objective, t)) out.push_back(objective->terms()[t].name);
    return out;
  };
  EXPECT_THAT(told(), testing::ElementsAre("nll", "accuracy"));
  setup.config.masked_diffusion.normalizer = DiffusionNormalizer::masked;
  EXPECT_THAT(told(), testing::ElementsAre("nll", "accuracy", "bound"));
  setup.config.masked_diffusion.normalizer = DiffusionNormalizer::tokens;
  setup.options.mean_of_means = true;  // compat: loss
  EXPECT_THAT(told(), testing::ElementsAre("nll", "accuracy", "bound"));
}

}  // namespace
}  // namespace lmms::objectives
