#include "objectives/masked_diffusion_drawing.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <set>

#include "core/error.h"
#include "data/processor.h"

namespace lmms::objectives {
namespace {

using data::DrawKey;
using data::kIgnore;
using data::Sample;
using testing::Each;
using testing::ElementsAre;
using testing::HasSubstr;

constexpr int32_t kMask = 99, kEnd = 90, kStart = 91;

std::shared_ptr<const data::Drawing> drawing_of(MaskedDiffusionConfig config = {},
                                                bool shifted = false) {
  return masked_diffusion_drawing({.mask_token = kMask,
                                   .special_tokens = {kEnd, kStart},
                                   .end_token = std::nullopt,
                                   .shifted = shifted,
                                   .config = config});
}

/// Tokens 1, 2, ... n, all targets of the position before them.
Sample plain(int32_t n) {
  Sample sample;
  for (int32_t t = 1; t <= n; ++t) {
    sample.text.input_ids.push_back(t);
    sample.text.labels.push_back(t < n ? t + 1 : kIgnore);
  }
  return sample;
}

/// A chat: <start> 1 2 <end> <start> 3, then the answer 4 5 6 <end>, then 7, which is no target.
Sample chat() {
  Sample sample;
  sample.text.input_ids = {kStart, 1, 2, kEnd, kStart, 3, 4, 5, 6, kEnd, 7};
  sample.text.labels.assign(11, kIgnore);
  for (size_t t = 5; t < 9; ++t) sample.text.labels[t] = sample.text.input_ids[t + 1];
  return sample;
}

Sample laid_out(Sample sample, const MaskedDiffusionConfig& config = {}) {
  drawing_of(config)->lay_out(sample);
  return sample;
}

std::vector<int32_t> maskable(const Sample& sample) {
  std::vector<int32_t> out;
  for (size_t t = 0; t < sample.text.labels.size(); ++t)
    if (sample.text.labels[t] != kIgnore) out.push_back(static_cast<int32_t>(t));
  return out;
}

TEST(MaskedDrawing, may_mask_every_token_of_a_plain_text_and_sees_both_ways) {
  const Sample sample = laid_out(plain(5));
  EXPECT_THAT(sample.text.labels, ElementsAre(1, 2, 3, 4, 5));
  EXPECT_THAT(sample.text.weights, Each(1.0f));
  ASSERT_EQ(sample.segments.size(), 1u);
  EXPECT_EQ(sample.segments[0].mode, AttentionMode::full);
  EXPECT_EQ(sample.segments[0].length, 5);
}

TEST(MaskedDrawing, leaves_prompts_and_special_tokens_but_masks_the_end_of_an_answer) {
  EXPECT_THAT(maskable(laid_out(chat())), ElementsAre(6, 7, 8, 9));
  EXPECT_THAT(maskable(laid_out(chat(), {.mask_token = {}, .masked_tokens = MaskedTokens::all})),
              ElementsAre(1, 2, 5, 6, 7, 8, 9, 10));
  EXPECT_EQ(maskable(laid_out(chat(), {.mask_token = {},
                                       .masked_tokens = MaskedTokens::all,
                                       .mask_special_tokens = true}))
                .size(),
            11u);
  Sample special = plain(4);
  special.text.input_ids = {1, kStart, 3, 4};  // inside a text
  special.text.labels = {kStart, 3, 4, kIgnore};
  EXPECT_THAT(maskable(laid_out(special)), ElementsAre(0, 2, 3));
  special.text.input_ids[2] = kMask;  // as it was written: what it stands for is not known
  EXPECT_THAT(maskable(laid_out(special)), ElementsAre(0, 3));
}

TEST(MaskedDrawing, keeps_weights_of_targets_and_never_masks_media) {
  Sample sample = plain(4);
  sample.text.weights = {0.5f, 2.0f, 0.0f, 1.0f};
  sample.media[kVision].tokens = {1};
  const Sample out = laid_out(sample);
  EXPECT_THAT(maskable(out), ElementsAre(0, 2));  // token 3 has weight 0
  EXPECT_EQ(out.text.weights[0], 0.5f);
  EXPECT_EQ(out.text.weights[2], 2.0f);
}

TEST(MaskedDrawing, fills_the_last_answer_with_its_end_and_leaves_out_what_stands_behind_it) {
  const Sample six = laid_out(chat(), {.mask_token = {}, .pad_answers = 6});
  EXPECT_THAT(six.text.input_ids,
              ElementsAre(kStart, 1, 2, kEnd, kStart, 3, 4, 5, 6, kEnd, kEnd, kEnd));
  EXPECT_THAT(maskable(six), ElementsAre(6, 7, 8, 9, 10, 11));
  EXPECT_EQ(laid_out(chat(), {.mask_token = {}, .pad_answers = 4}).length(),
            10);  // it is a multiple already
  Sample cut = chat();
  lmms::data::truncate(cut, 8);  // inside the answer, which has no end then
  EXPECT_EQ(laid_out(cut, {.mask_token = {}, .pad_answers = 6}).length(), 8);
  EXPECT_EQ(laid_out(plain(5), {.mask_token = {}, .pad_answers = 4}).length(), 5);  // no answer
}

TEST(MaskedDrawing, draws_t_and_masks_by_the_sample_alone) {
  const auto drawing = drawing_of({.mask_token = {}, .t_min = 0.2, .t_max = 0.8});
  double share = 0, mean = 0;
  constexpr int kSamples = 400, kTokens = 64;
  for (int64_t ordinal = 0; ordinal < kSamples; ++ordinal) {
    Sample a = laid_out(plain(kTokens)), b = a, c = a;
    drawing->draw(a, DrawKey(7, ordinal));
    drawing->draw(b, DrawKey(7, ordinal));
    drawing->draw(c, DrawKey(8, ordinal));
    EXPECT_EQ(a.text.input_ids, b.text.input_ids);
    EXPECT_EQ(a.extras, b.extras);
    EXPECT_NE(a.extras, c.extras);
    const float t = a.extras.at(kTime).at(0);
    ASSERT_GE(t, 0.2f);
    ASSERT_LE(t, 0.8f);
    int64_t masked = 0;
    for (size_t q = 0; q < kTokens; ++q) {
      const bool is_masked = a.text.input_ids[q] == kMask;
      masked += is_masked;
      EXPECT_EQ(a.text.labels[q], is_masked ? static_cast<int32_t>(q) + 1 : kIgnore);
      if (is_masked) {
        EXPECT_FLOAT_EQ(a.text.weights[q], 1 / t);
      } else {
        EXPECT_EQ(a.text.weights[q], 0.0f);
      }
    }
    EXPECT_EQ(a.counts.at(kMaskable), kTokens);
    EXPECT_EQ(a.counts.at(kMasked), static_cast<double>(masked));
    EXPECT_EQ(a.supervised(), masked);
    share += (static_cast<double>(masked) / kTokens - t) / kSamples;
    mean += t / kSamples;
  }
  EXPECT_NEAR(share, 0, 0.01);   // its deviation: 0.003
  EXPECT_NEAR(mean, 0.5, 0.04);  // 0.009
}

// E[sum over masked of f / t] is the sum of f over all that may be masked.
TEST(MaskedDrawing, weights_make_the_sum_over_masked_tokens_unbiased) {
  const auto drawing = drawing_of({.mask_token = {}, .t_min = 0.1, .t_max = 1.0});
  double sum = 0;
  constexpr int kSamples = 4000, kTokens = 8;
  for (int64_t ordinal = 0; ordinal < kSamples; ++ordinal) {
    Sample sample = laid_out(plain(kTokens));
    drawing->draw(sample, DrawKey(3, ordinal));
    for (const float weight : sample.text.weights) sum += weight / kSamples;
  }
  EXPECT_NEAR(sum, kTokens, 0.25);  // its deviation: 0.06
}

TEST(MaskedDrawing, of_blocks_stands_beside_the_clean_ones_at_the_same_positions) {
  const Sample sample = laid_out(plain(7), {.mask_token = {}, .block_length = 3});
  EXPECT_THAT(sample.text.input_ids, ElementsAre(1, 2, 3, 1, 2, 3, 4, 5, 6, 4, 5, 6, 7));
  EXPECT_THAT(sample.text.position_ids, ElementsAre(0, 1, 2, 0, 1, 2, 3, 4, 5, 3, 4, 5, 6));
  std::vector<int32_t> lengths;
  std::vector<AttentionMode> modes;
  for (const data::SampleSegment& segment : sample.segments) {
    lengths.push_back(segment.length);
    modes.push_back(segment.mode);
  }
  EXPECT_THAT(lengths, ElementsAre(3, 3, 3, 3, 1));
  EXPECT_THAT(modes, ElementsAre(AttentionMode::noise, AttentionMode::full, AttentionMode::noise,
                                 AttentionMode::full, AttentionMode::noise));
  EXPECT_THAT(maskable(sample), ElementsAre(0, 1, 2, 6, 7, 8, 12));
  Sample drawn = sample;
  drawing_of({.mask_token = {}, .t_min = 0.9, .t_max = 1.0, .block_length = 3})
      ->draw(drawn, DrawKey(1, 1));
  EXPECT_EQ(drawn.extras.at(kTime).size(), 3u);
  EXPECT_EQ(drawn.counts.at(kMaskable), 7);
  for (const size_t clean : {3u, 4u, 5u, 9u, 10u, 11u})
    EXPECT_EQ(drawn.text.input_ids[clean], sample.text.input_ids[clean]);
}

TEST(MaskedDrawing, of_blocks_noises_none_of_a_prompt_and_drops_what_nothing_sees) {
  const Sample sample = laid_out(chat(), {.mask_token = {}, .block_length = 4});
  // clean 0..3, noised 4..7, clean 4..7, noised 8..10 (token 7 is in the block of the end)
  EXPECT_EQ(sample.length(), 4 + 4 + 4 + 3);
  EXPECT_EQ(sample.segments.front().mode, AttentionMode::full);
  EXPECT_THAT(maskable(sample), ElementsAre(6, 7, 12, 13));
  EXPECT_EQ(laid_out(chat(), {.mask_token = {}, .block_length = 5}).length(), 5 + 5);
  Sample seen = plain(4);
  seen.media[kVision].grids = {{1, 2, 2}};
  EXPECT_THROW(laid_out(seen, {.mask_token = {}, .block_length = 2}), Error);
  EXPECT_EQ(laid_out(chat(), {.mask_token = {}, .block_length = 4, .pad_answers = 8})
                .text.position_ids.back(),
            15);
}

TEST(MaskedDrawing, shifted_puts_targets_before_their_tokens_and_never_masks_the_first) {
  Sample sample = plain(4);
  const auto drawing = drawing_of({.mask_token = {}, .t_min = 1, .t_max = 1}, /*shifted=*/true);
  drawing->lay_out(sample);
  EXPECT_THAT(sample.text.labels, ElementsAre(2, 3, 4, kIgnore));
  drawing->draw(sample, DrawKey(1, 1));
  EXPECT_THAT(sample.text.input_ids, ElementsAre(1, kMask, kMask, kMask));
  EXPECT_EQ(sample.counts.at(kMaskable), 3);
}

TEST(MaskedDrawing, says_every_setting_that_changes_it) {
  const MaskedDiffusionConfig settings[] = {
      {},
      {.mask_token = {}, .t_min = 0.1},
      {.mask_token = {}, .t_max = 0.9},
      {.mask_token = {}, .masked_tokens = MaskedTokens::all},
      {.mask_token = {}, .mask_special_tokens = true},
      {.mask_token = {}, .block_length = 4},
      {.mask_token = {}, .pad_answers = 4},
  };
  std::set<std::string> names;
  for (const MaskedDiffusionConfig& one : settings) names.insert(drawing_of(one)->name());
  names.insert(drawing_of({}, /*shifted=*/true)->name());
  EXPECT_EQ(names.size(), 8u);
}

}  // namespace
}  // namespace lmms::objectives
