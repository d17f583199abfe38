// A kind of media that no file of this room knows: from a processor to batches.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "core/ranks_testing.h"
#include "data/loader_testing.h"
#include "data/sound_testing.h"
#include "data/vision_chat_processor.h"

namespace lmms::data {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

/// Every medium of a chat as two frames of sound, a token.
class SoundFormat final : public MediaFormat {
 public:
  explicit SoundFormat(int32_t pad) : pad_(pad) {}
  std::string_view kind() const override { return kSound; }
  Result<Medium> open(const Part& part, const MediaContext&) const override {
    Medium medium;
    medium.kind = part.kind;
    medium.grid = {1, 2, 1};
    medium.pads = {{1}};
    return medium;
  }
  int64_t patch_values() const override { return kSoundValues; }
  std::optional<Fault> write(const Medium&, std::span<float> out) const override {
    std::ranges::fill(out, 5.0F);
    return std::nullopt;
  }
  std::optional<Fault> check_pixels(const Medium&) const override { return std::nullopt; }
  bool is_pad(int32_t id) const override { return id == pad_; }
  std::vector<int32_t> positions(std::span<const int32_t>, std::span<const Medium>,
                                 const std::string&) const override {
    return {};
  }

 private:
  int32_t pad_;
};

TEST(MediaKinds, of_chats_are_those_that_the_format_names) {
  const auto tokenizer =
      text::Tokenizer::load(LMMS_SOURCE_DIR "/tests/parity/data/tokenizer/chat").take();
  const int32_t pad = *tokenizer.id("<|image_pad|>");
  text::ChatOptions options;
  options.media = true;
  const VisionChatProcessor processor(text::ChatTemplate::create(tokenizer, options).take(),
                                      std::make_shared<SoundFormat>(pad));
  Record record;
  record.origin = {std::make_shared<const std::string>("a.jsonl"), 1};
  record.fields = Json::parse(R"({"messages": [{"role": "user", "content": [
      {"type": "image_url", "image_url": {"url": "a"}}]}]})");
  const Sample sample = processor.process(record).take();
  EXPECT_EQ(sample.media.size(), 1u);
  const MediaPart& part = sample.media.of(kSound);
  EXPECT_EQ(part.grids, (std::vector<PatchGrid>{{1, 2, 1}}));
  EXPECT_THAT(part.values, ElementsAre(5, 5, 5, 5));
  ASSERT_EQ(part.tokens.size(), 1u);
  EXPECT_EQ(sample.text.input_ids[static_cast<size_t>(part.tokens[0])], pad);
}

Loader sounds(const std::shared_ptr<const Dataset>& data, const LoaderOptions& options) {
  return {data, std::make_shared<SoundProcessor>(), options};
}

int64_t frames_of(const Batch& batch) {
  int64_t frames = 0;
  for (const PatchGrid& grid : batch.media.of(kSound).grids) frames += grid.patches();
  return frames;
}

LoaderOptions with_limits(PackingStrategy strategy) {
  LoaderOptions options{
      .packing = packing(60, strategy), .policies = {}, .global_rows = 3, .epochs = 2};
  options.packing->media = {{kSound, 24}, {kVision, 6}};
  options.costs.media = {{kSound, 5, 1}};
  return options;
}

TEST(MediaKinds, limit_a_row_each_by_itself) {
  const auto data = sounds_dataset(80);
  for (const auto strategy : {PackingStrategy::first_fit, PackingStrategy::best_fit,
                              PackingStrategy::balanced, PackingStrategy::sequential}) {
    auto loader = sounds(data, with_limits(strategy));
    int64_t samples = 0, most_frames = 0;
    for (const StepBatch& step : run(loader)) {
      samples += step.samples;
      for (const Batch& batch : step.micro_steps) {
        most_frames = std::max(most_frames, frames_of(batch));
        EXPECT_LE(batch.media.of(kVision).grids.size(), 1u);  // of 4 patches, and 6 are a row's
        EXPECT_EQ(batch.media.of(kSound).rows.size(), static_cast<size_t>(frames_of(batch) / 2));
        for (const int64_t row : batch.media.of(kSound).rows)
          EXPECT_EQ(batch.input_ids[static_cast<size_t>(row)], SoundProcessor::kPad);
      }
    }
    EXPECT_EQ(samples, 160);
    EXPECT_LE(most_frames, 24);
    EXPECT_GT(most_frames, 12);
  }
}

TEST(MediaKinds, beyond_a_limit_go_by_the_policy_for_overlong_samples) {
  LoaderOptions options = with_limits(PackingStrategy::first_fit);
  options.packing->media[kSound].patches = 9;
  auto loader = sounds(sounds_dataset(8), options);
  EXPECT_THAT(run(loader).back().skipped.text(),
              HasSubstr("overlong (first: made:3: 10 patches of sound, a row takes 9"));
}

TEST(MediaKinds, are_kept_in_the_state_beside_images_and_videos) {
  const auto data = sounds_dataset(80);
  for (const auto strategy : {PackingStrategy::first_fit, PackingStrategy::balanced}) {
    const LoaderOptions options = with_limits(strategy);
    auto whole_run = sounds(data, options);
    const auto whole = run(whole_run);
    ASSERT_GT(whole.size(), 4u);
    for (size_t k = 0; k + 1 < whole.size(); ++k) {
      auto loader = sounds(data, options);
      loader.restore(whole[k].state());
      expect_equal(*loader.next(), whole[k + 1]);
    }
    auto other = options;
    other.packing->media[kSound].patches = 30;
    EXPECT_THAT([&] { sounds(data, other).restore(whole[0].state()); },
                testing::ThrowsMessage<Error>(HasSubstr("\"media\":{\"sound\":24}")));
  }
}

TEST(MediaKinds, of_images_alone_are_written_as_they_were_when_there_was_no_other) {
  LoaderOptions options{.packing = packing(100), .policies = {}, .global_rows = 1, .epochs = 1};
  options.packing->media = {{kVision, 100}};
  const auto steps = run(images_dataset({60, 60, 30}), options);
  const auto state = nlohmann::json::parse(steps[0].state());
  EXPECT_EQ(state["lanes"][0]["closed"].dump() + state["lanes"][0]["open"].dump(),
            "[][[[1,4,3,3616,60]]]");
  EXPECT_EQ(state["order"]["packing"].dump(),
            R"({"length":100,"num_open_bins":3,"patches":100,"strategy":"first_fit"})");
}

TEST(MediaKinds, run_their_own_towers_on_every_rank_where_any_has_some) {
  const auto data = sounds_dataset(60);
  LoaderOptions options{.packing = {}, .policies = {}, .global_rows = 4, .epochs = 1};
  auto one = sounds(data, options);
  const auto alone = run(one);
  std::vector<std::vector<StepBatch>> steps(2);
  RanksInThreads(2).run([&](Ranks& ranks) {
    LoaderOptions of_rank = options;
    of_rank.ranks = ranks.open_channel("data");
    auto loader = sounds(data, of_rank);
    steps[static_cast<size_t>(ranks.rank())] = run(loader);
  });
  bool apart = false;
  for (size_t k = 0; k < alone.size(); ++k) {
    for (size_t m = 0; m < steps[0][k].micro_steps.size(); ++m) {
      const Batch &first = steps[0][k].micro_steps[m], &second = steps[1][k].micro_steps[m];
      for (const char* kind : {kSound, kVision}) {
        const bool any = !first.media.of(kind).empty() || !second.media.of(kind).empty();
        EXPECT_EQ(first.media.find(kind) != nullptr, any);
        EXPECT_EQ(second.media.find(kind) != nullptr, any);
        apart = apart || first.media.of(kind).empty() != second.media.of(kind).empty();
      }
      EXPECT_EQ(first.media.of(kSound).values, alone[k].micro_steps[2 * m].media.of(kSound).values);
    }
  }
  EXPECT_TRUE(apart);
}

/// Every third record has no text.
std::shared_ptr<const Dataset> some_without_text() {
  return dataset_of(12, [](int64_t row) {
    nlohmann::json record{{"sound", {4}}};
    if (row % 3 != 0) record["length"] = 2;
    return Result<nlohmann::json>(std::move(record));
  });
}

TEST(MediaKinds, without_text_are_trained_where_the_objective_needs_no_targets) {
  LoaderOptions options{.packing = packing(16), .policies = {}, .global_rows = 1, .epochs = 1};
  auto next_token = sounds(some_without_text(), options);
  const SkipCounts skipped = run(next_token).back().skipped;
  EXPECT_EQ(skipped.of(SkipReason::unsupervised).count, 4);
  options.policies.needs_targets = false;
  options.pad_id = 5;
  auto loader = sounds(some_without_text(), options);
  const auto steps = run(loader);
  EXPECT_EQ(steps.back().skipped.total(), 0);
  int64_t samples = 0;
  for (const StepBatch& step : steps) samples += step.samples;
  EXPECT_EQ(samples, 12);
  const Batch& first = steps[0].micro_steps[0];
  EXPECT_EQ(first.segments[0].length, 2);  // four frames
  EXPECT_EQ(first.input_ids[0], 5);
  auto resumed = sounds(some_without_text(), options);
  resumed.restore(steps[0].state());
  expect_equal(*resumed.next(), steps[1]);
}

}  // namespace
}  // namespace lmms::data
