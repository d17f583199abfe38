#include "data/collate.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <utility>

#include "data/processor.h"

namespace lmms::data {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

Sample text_sample(std::vector<int32_t> ids) {
  Sample sample;
  sample.text.labels.assign(ids.size(), 1);
  sample.text.input_ids = std::move(ids);
  return sample;
}

Batch collated(const std::vector<Sample>& samples, int64_t pad_multiple = 1) {
  RowSamples row;
  for (const Sample& sample : samples) row.push_back(std::make_shared<const Sample>(sample));
  return collate({&row, 1}, pad_multiple, /*pad_id=*/9);
}

TEST(Sample, counts_the_bytes_of_all_that_it_holds) {
  const Sample plain = text_sample({1, 2, 3, 4});
  Sample sample = plain;
  sample.text.weights = {1, 1, 1, 1};
  EXPECT_EQ(sample.bytes() - plain.bytes(), 4 * 4);
  sample.text.position_ids.resize(12);
  EXPECT_EQ(sample.bytes() - plain.bytes(), 16 * 4);
  const int64_t text = sample.bytes();
  MediaPart& part = sample.media[kVision];
  part.grids = {{1, 2, 3}};
  part.values.resize(6000);
  part.tokens = {1, 2};
  const int64_t values = 6000 * 4 + 2 * 4 + static_cast<int64_t>(sizeof(PatchGrid));
  EXPECT_EQ(sample.bytes() - text, values + static_cast<int64_t>(sizeof(MediaPart)));
  const int64_t media = sample.bytes();
  sample.extras["time"] = {0.5f, 1};
  EXPECT_EQ(sample.bytes() - media, 4 + 2 * 4);
  sample.segments.resize(2);
  EXPECT_GT(sample.bytes(), media + 4 + 2 * 4);
}

TEST(Collate, keeps_the_weight_of_every_target) {
  Sample weighed = text_sample({1, 2, 3});
  weighed.text.labels = {5, kIgnore, 7};
  weighed.text.weights = {0.5f, 4, 0};
  EXPECT_EQ(weighed.supervised(), 1);
  const Batch batch = collated({weighed, text_sample({4})});
  EXPECT_THAT(batch.weights, ElementsAre(0.5f, 0, 0, 1));
  EXPECT_THAT(batch.labels, ElementsAre(5, 0, 0, 1));
  EXPECT_EQ(batch.supervised_tokens, 2);
}

TEST(Collate, lays_out_the_segments_of_a_sample_under_its_number) {
  Sample two = text_sample({1, 2, 3, 4, 5});
  two.segments = {{2, AttentionMode::causal, 0}, {3, AttentionMode::full, 1}};
  const Batch batch = collated({text_sample({8}), two}, 4);
  EXPECT_THAT(
      batch.segments,
      ElementsAre(
          Segment{.start = 0, .length = 1, .sample = 0},
          Segment{.start = 1, .length = 2, .sample = 1},
          Segment{.start = 3, .length = 3, .mode = AttentionMode::full, .sample = 1, .role = 1},
          Segment{.start = 6, .length = 2, .mode = AttentionMode::full, .sample = -1}));
  EXPECT_THAT(batch.position_ids, ElementsAre(0, 0, 1, 2, 3, 4, 0, 1));
  truncate(two, 3);
  ASSERT_EQ(two.segments.size(), 2u);
  EXPECT_EQ(two.segments[1].length, 1);
  truncate(two, 2);
  EXPECT_EQ(two.segments.size(), 1u);
}

TEST(Collate, joins_extras_with_a_length_for_every_sample) {
  Sample first = text_sample({1}), third = text_sample({3});
  first.extras["box"] = {1, 2};
  third.extras["box"] = {3};
  third.extras["score"] = {0.5f};
  first.counts["boxes"] = 2;
  third.counts["boxes"] = 1;
  const Batch batch = collated({first, text_sample({2}), third, text_sample({4})}, 8);
  EXPECT_EQ(batch.extras.at("box"), (RaggedExtra{{1, 2, 3}, {2, 0, 1, 0}}));
  EXPECT_EQ(batch.extras.at("score"), (RaggedExtra{{0.5f}, {0, 0, 1, 0}}));
  EXPECT_EQ(batch.counts, (TermCounts{{"boxes", 3}}));
}

TEST(Collate, gives_media_a_part_for_each_kind_that_a_sample_has) {
  Sample seen = text_sample({1, 2, 3});
  seen.media = {{kVision, {1, 2, 3, 4}, {{1, 2, 2}}, {}, {1}}};
  Sample heard = text_sample({4, 5});
  heard.media = {{"sound", {7, 8}, {{1, 2, 1}}, {}, {0}}, {"smell", {}, {}, {}, {}}};
  const Batch batch = collated({seen, heard, seen});
  ASSERT_EQ(batch.media.size(), 2u);  // nothing is there to smell
  EXPECT_EQ(batch.media.of("sound"), (PackedMedia{"sound", {7, 8}, {{1, 2, 1}}, {}, {3}}));
  EXPECT_EQ(batch.media.of(kVision),
            (PackedMedia{kVision, {1, 2, 3, 4, 1, 2, 3, 4}, {{1, 2, 2}, {1, 2, 2}}, {}, {1, 6}}));
  EXPECT_THAT(collated({text_sample({1})}).media, IsEmpty());
}

TEST(Collate, gives_a_sample_without_text_the_pads_that_its_media_take_the_place_of) {
  Sample picture;
  picture.media = {{kVision, {1, 2, 3, 4}, {{1, 2, 2}}, {}, {0, 1}}};
  EXPECT_EQ(picture.length(), 2);
  const Batch batch = collated({text_sample({1}), picture, picture}, 4);
  EXPECT_THAT(batch.input_ids, ElementsAre(1, 9, 9, 9, 9, 9, 9, 9));
  EXPECT_THAT(batch.position_ids, ElementsAre(0, 0, 1, 0, 1, 0, 1, 2));
  EXPECT_THAT(batch.media.of(kVision).rows, ElementsAre(1, 2, 3, 4));
  EXPECT_EQ(batch.supervised_tokens, 1);
  EXPECT_EQ(batch.valid_tokens, 5);
}

}  // namespace
}  // namespace lmms::data
