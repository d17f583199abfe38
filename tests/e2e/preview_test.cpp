#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sstream>

#include "tests/e2e/project.h"

namespace lmms::e2e {
namespace {

using testing::EndsWith;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

class Preview : public testing::Test {
 protected:
  Ended preview(Words words) const {
    words.insert(words.begin(), {"preview", "config.yaml"});
    return run(words, project_.here());
  }
  Project project_;
};

TEST_F(Preview, shows_the_head_of_the_data_and_writes_nothing) {
  const auto before = contents(project_ / "");
  const Ended ended =
      preview({"-n", "2", "dataset_config.packing=true", "dataset_config.packing_length=256"});
  EXPECT_EQ(ended.exit, 0) << ended.err;
  for (const char* part :
       {"source 1: train.jsonl (jsonl", "its first 2 rows", "── 1 ── train.jsonl:1 ──",
        "── 2 ── train.jsonl:2 ──", "<|im_start|>user↵\nCount to 1, please.", "⟦", "row 1",
        "2 samples trained", "/ 256 tokens  samples 1 2"}) {
    EXPECT_THAT(ended.out, HasSubstr(part));
  }
  EXPECT_THAT(ended.out, Not(HasSubstr("\x1b")));
  EXPECT_EQ(contents(project_ / ""), before);
}

TEST_F(Preview, fits_the_columns_that_are_asked_for) {
  for (const Words& words : {Words{}, Words{"--ids"}}) {
    Words line = {"preview", "config.yaml", "dataset_config.packing=true",
                  "dataset_config.packing_length=256"};
    line.insert(line.end(), words.begin(), words.end());
    Surroundings narrow = project_.here();
    narrow.variables["COLUMNS"] = "40";
    std::istringstream out(run(line, narrow).out);
    int lines = 0;
    for (std::string text; std::getline(out, text); ++lines) {
      std::erase_if(text, [](char c) { return (c & 0xC0) == 0x80; });  // a character, a byte
      EXPECT_LE(text.size(), 40u) << text;
    }
    EXPECT_GT(lines, 20);
  }
}

TEST_F(Preview, needs_no_weights) {
  const Ended ended = preview(
      {"~model_config.load_from_config", "+model_config.load_from_pretrained_path=no/such/model"});
  EXPECT_EQ(ended.exit, 0) << ended.err;
  EXPECT_THAT(ended.out, HasSubstr("train.jsonl:3"));
}

TEST_F(Preview, shows_the_row_that_stopped_a_training) {
  project_.write("train.jsonl", chat_line("One?", "Two.") + "\n{\"messages\": 7}\n");
  const Ended stopped = project_.train();
  EXPECT_EQ(stopped.exit, 2);
  EXPECT_THAT(stopped.err, HasSubstr("train.jsonl:3: messages: "));
  const Ended ended = preview({"--row", "train.jsonl:3", "--row", "1"});
  EXPECT_EQ(ended.exit, 0) << ended.err;
  EXPECT_THAT(ended.out, HasSubstr("training stops here, bad: messages: expected a list"));
  EXPECT_THAT(ended.out, HasSubstr("on_bad_sample"));
  EXPECT_THAT(ended.out, HasSubstr("── 2 ── train.jsonl:1 ──"));
}

TEST_F(Preview, shows_evaluation_data_and_ids_in_colour) {
  const Ended ended = preview({"--eval", "--ids", "--color"});
  EXPECT_EQ(ended.exit, 2);
  EXPECT_THAT(ended.err, HasSubstr("the config has no evaluation data"));
  const Ended shown =
      preview({"--eval", "--ids", "--color", "dataset_config.eval_dataset_path=eval.jsonl"});
  EXPECT_EQ(shown.exit, 0) << shown.err;
  EXPECT_THAT(shown.out, HasSubstr("eval.jsonl:1"));
  EXPECT_THAT(shown.out, HasSubstr("target"));
  EXPECT_THAT(shown.out, HasSubstr("\x1b[32m"));
}

TEST_F(Preview, writes_a_page_where_it_is_told_and_overwrites_nothing_else) {
  const Ended ended = preview({"--html", "samples.html"});
  EXPECT_EQ(ended.exit, 0) << ended.err;
  EXPECT_THAT(ended.err, HasSubstr("written: samples.html"));
  const std::string page = contents(project_ / "").at("samples.html");
  EXPECT_THAT(page, StartsWith("<!doctype html>"));
  EXPECT_THAT(page, EndsWith("</html>\n"));
  EXPECT_THAT(page, HasSubstr("train.jsonl:1"));

  const auto before = contents(project_ / "");
  for (const char* name : {"config.yaml", "train.jsonl", "none/page.html"}) {
    const Ended refused = preview({"--html", name});
    EXPECT_EQ(refused.exit, 2);
    EXPECT_THAT(refused.err, HasSubstr("fix: "));
    EXPECT_EQ(refused.out, "");
  }
  EXPECT_EQ(contents(project_ / ""), before);
}

TEST_F(Preview, refuses_what_it_cannot_show) {
  const auto error = [&](Words words) {
    const Ended ended = preview(std::move(words));
    EXPECT_EQ(ended.exit, 2) << ended.out;
    return ended.err + ended.out;
  };
  EXPECT_THAT(error({"--row", "7:1"}), HasSubstr("there is no source 7"));
  EXPECT_THAT(error({"--row", "1000"}), HasSubstr("the file ends before this line"));
  EXPECT_THAT(error({"-n", "0"}), HasSubstr("-n"));
  EXPECT_THAT(error({"-n", "1", "--row", "1"}), HasSubstr("excludes"));
  EXPECT_THAT(error({"dataset_config.dataset_path=none.jsonl"}),
              HasSubstr("'none.jsonl' does not exist"));
  EXPECT_THAT(error({"dataset_config.packing_lenght=3"}), HasSubstr("did you mean"));
  EXPECT_EQ(run({"preview"}).exit, 2);
  EXPECT_EQ(run({"preview", "--help"}).exit, 0);
}

}  // namespace
}  // namespace lmms::e2e
