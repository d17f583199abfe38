// Generation after images against transformers: greedy tokens, alone and in batches of text and
// images; a conversation that keeps what it has seen.
#include <gtest/gtest.h>

#include "generate/generation.h"
#include "parity_testing.h"

namespace lmms::generate {
namespace {

using Ids = std::vector<int32_t>;
using parity::Expected;
const std::filesystem::path kData = std::filesystem::path(LMMS_SOURCE_DIR) / "tests/parity/data";
constexpr int32_t kImagePad = 91;
constexpr int kPrompts = 5;

class GreedyVl : public testing::TestWithParam<std::string> {
 protected:
  GreedyVl()
      : network_(parity::load(kData / "qwen_vl" / GetParam())),
        expected_{checkpoint::SafetensorsFile::open(
                      kData / ("generation_vl." + GetParam() + ".safetensors"))
                      .take()} {
    for (int k = 0; k < kPrompts; ++k) prompts_.push_back(prompt(std::to_string(k)));
  }

  data::Sample prompt(const std::string& k) const {
    data::Sample out = text_prompt(expected_.integers(k + ".input_ids"));
    out.text.position_ids = expected_.integers(k + ".position_ids");
    for (size_t t = 0; t < out.text.input_ids.size(); ++t)
      if (out.text.input_ids[t] == kImagePad)
        out.media[kVision].tokens.push_back(static_cast<int32_t>(t));
    if (out.media.of(kVision).tokens.empty()) {
      out.text.position_ids.clear();  // as a sample of text comes
      return out;
    }
    const Ids grids = expected_.integers(k + ".grids");
    for (size_t g = 0; g + 2 < grids.size(); g += 3)
      out.media[kVision].grids.push_back({grids[g], grids[g + 1], grids[g + 2]});
    const at::Tensor pixels = expected_[k + ".pixel_values"].contiguous();
    out.media[kVision].values.assign(pixels.const_data_ptr<float>(),
                                     pixels.const_data_ptr<float>() + pixels.numel());
    return out;
  }

  Ids expected(int k) const { return expected_.integers(std::to_string(k) + ".ids"); }

  std::vector<Generated> run(const std::vector<data::Sample>& prompts, int64_t tokens,
                             const GenerationHooks& hooks = {}) const {
    GenerationOptions options;
    options.max_new_tokens = tokens;
    return generate({*network_.model, at::kCPU, {}}, prompts, options, hooks);
  }

  step::Network network_;
  Expected expected_;
  std::vector<data::Sample> prompts_;
};

TEST_P(GreedyVl, tokens_equal_transformers_alone_and_in_a_batch_of_text_and_images) {
  const auto together = run(prompts_, 24);
  for (int k = 0; k < kPrompts; ++k) {
    EXPECT_EQ(together[static_cast<size_t>(k)].ids, expected(k)) << "in the batch, prompt " << k;
    EXPECT_EQ(run({prompts_[static_cast<size_t>(k)]}, 24)[0].ids, expected(k)) << "alone, " << k;
  }
}

TEST_P(GreedyVl, sequences_that_end_leave_the_others_alone) {
  GenerationOptions options;
  options.max_new_tokens = 24;
  options.stop_ids = {expected(1)[5], expected(3)[2]};
  const auto out = generate({*network_.model, at::kCPU, {}}, prompts_, options);
  for (int k = 0; k < kPrompts; ++k) {
    Ids wanted = expected(k);
    const auto end = std::find_first_of(wanted.begin(), wanted.end(), options.stop_ids.begin(),
                                        options.stop_ids.end());
    wanted.erase(end, wanted.end());
    EXPECT_EQ(out[static_cast<size_t>(k)].ids, wanted) << k;
  }
}

// Turns behind an image compute only what is new, and another image in its place is noticed.
TEST_P(GreedyVl, a_kept_prefix_with_images_changes_no_token) {
  KeptPrefix kept;
  GenerationHooks hooks;
  hooks.kept = &kept;
  const data::Sample& first = prompts_[1];
  EXPECT_EQ(run({first}, 6, hooks)[0].ids, run({first}, 6)[0].ids);
  const auto longer = [](data::Sample sample, const Ids& more) {
    const size_t n = sample.text.input_ids.size();
    const int32_t next =
        *std::max_element(sample.text.position_ids.begin(), sample.text.position_ids.end()) + 1;
    Ids positions;
    for (size_t axis = 0; axis < 3; ++axis) {
      const auto row = sample.text.position_ids.begin() + static_cast<int64_t>(axis * n);
      positions.insert(positions.end(), row, row + static_cast<int64_t>(n));
      for (size_t i = 0; i < more.size(); ++i) positions.push_back(next + static_cast<int32_t>(i));
    }
    sample.text.position_ids = positions;
    sample.text.input_ids.insert(sample.text.input_ids.end(), more.begin(), more.end());
    sample.text.labels.assign(sample.text.input_ids.size(), data::kIgnore);
    return sample;
  };
  Ids answered = expected(1);
  answered.resize(5);
  answered.insert(answered.end(), {3, 1, 4});
  const data::Sample second = longer(first, answered);
  data::Sample other_pixels = second;
  for (float& value : other_pixels.media[kVision].values) value = -value;
  for (const data::Sample& prompt : {second, second, other_pixels, first, prompts_[2], prompts_[0],
                                     prompts_[4], longer(prompts_[4], {7, 7})}) {
    EXPECT_EQ(run({prompt}, 9, hooks)[0].ids, run({prompt}, 9)[0].ids);
    EXPECT_EQ(kept.cache.lengths()[0], static_cast<int64_t>(kept.ids.size()));
  }
}

INSTANTIATE_TEST_SUITE_P(Models, GreedyVl, testing::Values("untied_hub", "qwen3"),
                         [](const auto& info) { return info.param; });

}  // namespace
}  // namespace lmms::generate
