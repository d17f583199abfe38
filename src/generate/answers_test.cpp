#include "generate/answers.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/error.h"
#include "data/data_testing.h"
#include "models/processor_entry.h"
#include "models/registry_testing.h"
#include "step/small_steps_testing.h"

namespace lmms::generate {
namespace {

using testing::HasSubstr;

/// Questions to a small model of random weights.
class AnswersTest : public testing::Test {
 protected:
  AnswersTest() {
    nlohmann::json config = step::small_text_model();
    config["vocab_size"] = 4096;
    model_ = models::model_entry(config, "test").make(config, "test");
    memory_ = nn::allocate(model_->params(), {});
    nn::initialise(model_->params(), memory_, 1);
    options_.generation.max_new_tokens = 3;
    options_.batch = 2;
    options_.prompts.push_back({config::Value{std::string("Hi")}, "prompts[0]"});
  }

  void rows(const std::string& lines) {
    folder_.write("rows.jsonl", lines);
    data::SourceConfig source;
    source.path = folder_.path("rows.jsonl");
    data::DatasetOptions options;
    options.sources = {source};
    options.shuffle = false;
    options_.dataset = data::Dataset::open(options).take();
    options_.rows = 100;
  }
  Questions questions() const {
    return Questions(options_, Prompting(models::chat_processor().make({.tokenizer = tokenizer_}),
                                         tokenizer_, model_->config(), nullptr, PromptForm::chat));
  }
  step::ForwardModel forward() const { return {*model_, at::kCPU, {}}; }

  text::Tokenizer tokenizer_ =
      text::Tokenizer::load(LMMS_SOURCE_DIR "/examples/chat_tiny/tokenizer").take();
  std::unique_ptr<models::Model> model_;
  nn::ModelMemory memory_;
  data::TempFolder folder_;
  QuestionOptions options_;
};

constexpr const char* kRow =
    R"({"messages": [{"role": "user", "content": "One?"}, {"role": "assistant", "content": "Two"}]})"
    "\n";

TEST_F(AnswersTest, come_to_prompts_and_to_rows_with_what_they_hold) {
  rows(std::string(kRow) + kRow);
  const auto answers = questions().answer(forward(), [] { return false; });
  ASSERT_TRUE(answers);
  ASSERT_EQ(answers->shown.size(), 3u);
  EXPECT_EQ(answers->shown[0].prompt, "Hi");
  EXPECT_EQ(answers->shown[0].row, 0);
  EXPECT_EQ(answers->shown[0].expected, std::nullopt);
  EXPECT_EQ(answers->shown[2].row, 2);
  EXPECT_EQ(answers->shown[2].prompt, "One?");
  EXPECT_EQ(answers->shown[2].expected, "Two");
  EXPECT_EQ(answers->exact.asked, 2);
  EXPECT_LE(answers->shown[0].tokens, 3);
}

TEST_F(AnswersTest, are_the_same_whatever_is_generated_together) {
  rows(std::string(kRow) + kRow);
  options_.generation.sampling = {.temperature = 1, .seed = 3};
  const auto two = questions().answer(forward(), [] { return false; });
  options_.batch = 3;
  const auto three = questions().answer(forward(), [] { return false; });
  for (size_t i = 0; i < 3; ++i) EXPECT_EQ(two->shown[i].text, three->shown[i].text) << i;
}

TEST_F(AnswersTest, end_where_they_are_asked_to) {
  EXPECT_FALSE(questions().answer(forward(), [] { return true; }));
}

TEST_F(AnswersTest, to_bad_rows_are_faults_before_the_first_step_unless_they_are_skipped) {
  rows(std::string(kRow) + "broken\n" + kRow);
  try {
    questions();
    ADD_FAILURE();
  } catch (const Error& e) {
    EXPECT_THAT(e.what(), HasSubstr("rows.jsonl:2"));
  }
  options_.skip_bad = true;
  const auto answers = questions().answer(forward(), [] { return false; });
  EXPECT_EQ(answers->skipped_rows, 1);
  EXPECT_EQ(answers->shown.size(), 3u);
}

TEST_F(AnswersTest, to_a_prompt_that_cannot_be_asked_name_its_place_in_the_config) {
  options_.prompts.push_back({config::Value{config::Value::Map{}}, "a.yaml:9: prompts[1]"});
  try {
    questions();
    ADD_FAILURE();
  } catch (const Error& e) {
    EXPECT_THAT(e.what(), HasSubstr("a.yaml:9: prompts[1]"));
  }
}

TEST(Answer, is_right_to_the_letter_but_for_white_space_around_it) {
  Answer answer{"q", " Two\n", 1, true};
  EXPECT_FALSE(answer.right());
  answer.expected = "Two";
  EXPECT_TRUE(answer.right());
  answer.expected = "two";
  EXPECT_FALSE(answer.right());
  EXPECT_EQ(text_of(Answer{"How\nare you?", "Fine.", 1, true}), "How are you? -> Fine.");
}

}  // namespace
}  // namespace lmms::generate
