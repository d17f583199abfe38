// Samples as masked diffusion draws them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "data/data_testing.h"
#include "inspect/preview/page.h"
#include "inspect/preview/preview.h"
#include "inspect/preview/preview_testing.h"
#include "inspect/preview/terminal.h"
#include "models/registry_testing.h"
#include "objectives/masked_diffusion_testing.h"

namespace lmms::inspect::preview {
namespace {

using testing::HasSubstr;

class MaskedPreview : public testing::Test {
 protected:
  Preview made(int64_t block_length, const std::optional<std::string>& mask) {
    const nlohmann::json config = {{"model_type", "qwen3"},    {"vocab_size", 70},
                                   {"hidden_size", 8},         {"intermediate_size", 8},
                                   {"num_hidden_layers", 1},   {"num_attention_heads", 1},
                                   {"num_key_value_heads", 1}, {"head_dim", 8}};
    const auto model = models::model_entry(config, "test").make(config, "test");
    objectives::ObjectiveSetup setup{.model = *model, .tokenizer = &tokenizer_};
    setup.config.masked_diffusion.mask_token = mask;
    setup.config.masked_diffusion.block_length = block_length;
    setup.config.masked_diffusion.t_min = setup.config.masked_diffusion.t_max = 0.5;
    const auto objective = masked_diffusion(setup);
    Input input;
    input.sources.resize(1);
    input.sources[0].path = folder_.write("a.jsonl",
                                          "{\"id\": 7, \"length\": 12}\n"
                                          "{\"id\": 8, \"length\": 9}\n");
    input.processor = std::make_shared<data::MadeProcessor>();
    input.tokenizer = tokenizer_;
    input.loader.pad_multiple = 1;
    objectives::set_loading(*objective, 3, input.loader);
    input.mask_token = objective->checkpoint_config().at("mask_token_id").get<int32_t>();
    return make_preview(input, {});
  }

  data::TempFolder folder_;
  text::Tokenizer tokenizer_ = objectives::letters(64);
};

TEST_F(MaskedPreview, shows_masks_t_and_weights) {
  const Preview preview = made(0, "[MASK]");
  ASSERT_EQ(preview.samples.size(), 2U);
  const Sample& first = preview.samples[0];
  EXPECT_TRUE(first.masked);
  EXPECT_EQ(first.times, std::vector<float>{0.5f});
  int64_t masked = 0;
  for (size_t t = 0; t < first.tokens.ids.size(); ++t) {
    EXPECT_EQ(preview.is_trained(first, t), first.tokens.ids[t] == 63);
    EXPECT_EQ(first.tokens.weights[t], first.tokens.ids[t] == 63 ? 2.0f : 0.0f);
    masked += first.tokens.ids[t] == 63;
  }
  EXPECT_EQ(first.trained_tokens, masked);
  ASSERT_GT(masked, 0);
  const std::string text = render_terminal(preview, {.colour = false, .width = 100}, {});
  EXPECT_THAT(text, HasSubstr("masked; the model is trained to tell what it was"));
  EXPECT_THAT(text, HasSubstr("masked (")) << text;
  EXPECT_THAT(text, HasSubstr(" · t 0.50, weight 2"));
  EXPECT_THAT(text, HasSubstr("⟦[MASK]"));
  const std::string ids = render_terminal(preview, {.colour = false, .width = 100}, {.ids = true});
  EXPECT_THAT(ids, HasSubstr("7x2"));  // the target under a mask
  const nlohmann::json page = page_data(render_page(preview));
  EXPECT_EQ(page["mask"], 63);
  EXPECT_EQ(page["samples"][0]["masked"], true);
  EXPECT_EQ(page["samples"][0]["targets"].size(), static_cast<size_t>(masked));
}

TEST_F(MaskedPreview, shows_blocks_and_a_mask_that_no_text_stands_for) {
  const Preview preview = made(4, std::nullopt);  // a free id
  const Sample& first = preview.samples[0];
  EXPECT_EQ(first.tokens.size(), 12 + 8);  // the last clean block is left out
  EXPECT_EQ(first.times.size(), 3U);
  ASSERT_EQ(first.blocks.size(), 5U);
  EXPECT_TRUE(first.blocks[0].noised);
  EXPECT_FALSE(first.blocks[1].noised);
  EXPECT_EQ(first.tokens.positions[8], 4);
  const std::string text = render_terminal(preview, {.colour = false, .width = 100}, {});
  EXPECT_THAT(text, HasSubstr("│noised│"));
  EXPECT_THAT(text, HasSubstr("│clean│"));
  EXPECT_THAT(text, HasSubstr("[MASK]"));
}

}  // namespace
}  // namespace lmms::inspect::preview
