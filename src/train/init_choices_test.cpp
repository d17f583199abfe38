#include "train/init_choices.h"

#include <gtest/gtest.h>

#include "train/config_draft.h"

namespace lmms::train {
namespace {

SampleLengths of(std::vector<int64_t> sorted, int64_t rows) {
  return {std::move(sorted), rows};
}

TEST(InitRows, are_long_where_there_is_much_and_short_where_there_is_little) {
  EXPECT_EQ(choose_rows(of({100, 300, 900}, 1'000'000), 40960, 16384).length, 16384);
  const RowChoice few = choose_rows(of({100, 300, 900}, 40), 40960, 16384);
  EXPECT_EQ(few.length, 1024) << "so that an epoch has steps";
  EXPECT_TRUE(few.packing);
  EXPECT_FALSE(few.max_length);
}

TEST(InitRows, hold_the_longest_sample_as_long_as_the_context_does) {
  EXPECT_EQ(choose_rows(of({100, 200, 20000}, 1000), 40960, 1024).length, 32768);
  const RowChoice longer = choose_rows(of({100, 200, 20000}, 1000), 2048, 1024);
  EXPECT_EQ(longer.length, 2048);
  EXPECT_FALSE(longer.max_length) << "the row limits it";
  const RowChoice packed = choose_rows(of({100, 200, 20000}, 1'000'000), 2048, 16384);
  EXPECT_EQ(packed.length, 16384);
  EXPECT_EQ(packed.max_length, 2048);
}

TEST(InitRows, are_single_samples_where_two_do_not_fit) {
  const RowChoice rows = choose_rows(of({900, 1000, 1010}, 1000), 40960, 1024);
  EXPECT_FALSE(rows.packing);
  EXPECT_EQ(rows.max_length, 1024);
}

TEST(InitRows, of_plain_text_stay_within_the_context) {
  EXPECT_EQ(choose_text_rows(of({500, 90000}, 100000), 3000, 16384).length, 2048);
  EXPECT_EQ(choose_text_rows(of({500, 90000}, 100000), {}, 16384).length, 16384);
  EXPECT_EQ(choose_text_rows(of({10}, 3), 128, 1024).length, 128);
}

TEST(InitRate, falls_with_size_and_is_higher_from_scratch) {
  double before = 1;
  for (const int64_t size : {int64_t{1} << 20, int64_t{100} << 20, int64_t{600} << 20,
                             int64_t{8} << 30, int64_t{70} << 30}) {
    const double rate = choose_learning_rate(size, false);
    EXPECT_LT(rate, before);
    EXPECT_GT(choose_learning_rate(size, true), rate);
    before = rate;
  }
  EXPECT_EQ(choose_learning_rate(596'000'000, false), 2e-5);
}

TEST(InitCadence, saves_and_evaluates_a_few_times_in_every_run) {
  for (const double tokens : {1e3, 1e5, 1e7, 1e9, 1e12}) {
    const Cadence c = choose_cadence(tokens, 16384 * 0.95, false);
    EXPECT_GE(c.steps, 1);
    EXPECT_GE(c.save_steps, 1);
    EXPECT_LE(c.save_steps, std::max<int64_t>(1, c.steps));
    EXPECT_LE(c.eval_steps, std::max<int64_t>(1, c.steps));
    EXPECT_LE(c.save_steps, 500);
  }
  EXPECT_EQ(choose_cadence(1e5, 1000, false).epochs, 3);
  EXPECT_EQ(choose_cadence(1e5, 1000, true).epochs, 1);
}

TEST(ConfigDraft, writes_sections_once_and_comments_within_80_columns) {
  ConfigDraft draft;
  draft.set("dataset_config.packing", true, "short");
  draft.set("model_config.load_from_pretrained_path", "a b", "it");
  draft.set("dataset_config.packing_length", int64_t{512}, std::string(90, 'x') + " y");
  draft.set("dataset_config.processor_config.processor_type", "qwen2");
  draft.set("dataset_config.packing", false, "other");
  draft.set("dataset_config.packing_strategy", "best_fit");
  draft.remove("dataset_config.packing_strategy");
  draft.set("gone", true);
  draft.remove("gone");
  EXPECT_EQ(draft.yaml({"top", ""}),
            "# top\n#\n\ndataset_config:\n  packing: false       # other\n"
            "  # " +
                std::string(76, 'x') + "\n  # " + std::string(14, 'x') +
                " y\n  packing_length: 512\n  processor_config:\n"
                "    processor_type: qwen2\n\nmodel_config:\n"
                "  load_from_pretrained_path: a b  # it\n");
  EXPECT_EQ(draft.words().at(1), "dataset_config.packing_length=512");
}

}  // namespace
}  // namespace lmms::train
