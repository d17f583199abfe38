// lmms init: a config for a model folder and a data file, which then trains as it is.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sstream>

#include "core/files.h"
#include "tests/e2e/project.h"

namespace lmms::e2e {
namespace {

using testing::HasSubstr;
using testing::Not;
namespace fs = std::filesystem;

/// A folder of data alone; the model is the tiny Qwen3 of pretrained().
class Init : public testing::Test {
 protected:
  Init() { fs::remove(project / "config.yaml"); }
  Ended init(Words words, const std::string& model = pretrained().string()) const {
    words.insert(words.begin(), {"init", model});
    return run(words, project.here());
  }
  std::string config() const { return read_file(project / "config.yaml").take(); }
  Project project;
};

TEST_F(Init, writes_a_config_that_trains_as_it_is) {
  const Ended ended = init({"train.jsonl", "--card", "cpu"});
  ASSERT_EQ(ended.exit, 0) << ended.err;
  EXPECT_THAT(ended.out, HasSubstr("written: config.yaml"));
  EXPECT_THAT(ended.out, HasSubstr("40 rows of OpenAI messages"));
  const std::string text = config();
  for (const char* line :
       {"dataset_format: jsonl", "eval_dataset_path: eval.jsonl", "processor_type: qwen2",
        "packing: true", "use_cpu: true", "learning_rate: ", "eval_strategy: steps", "# "})
    EXPECT_THAT(text, HasSubstr(line));
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);)
    EXPECT_TRUE(line.size() <= 80 || line.find("tmp") != std::string::npos) << line;
  for (const char* command : {"preview", "plan"}) {
    const Ended shown = run({command, "config.yaml"}, project.here());
    EXPECT_EQ(shown.exit, 0) << command << shown.err;
  }
  const Ended trained = project.train_to_the_end();
  EXPECT_THAT(trained.err, Not(HasSubstr("without effect"))) << "every line means something";
  EXPECT_THAT(trained.err, Not(HasSubstr("warning"))) << trained.err;
}

TEST_F(Init, says_what_of_a_folder_it_does_not_use) {
  fs::create_directory(project / "set");
  project.write("set/chats.jsonl", chat_line("One?", "Two.") + chat_line("Two?", "Three."));
  project.write("set/notes.csv", "prompt,response\na,b\n");
  project.write("set/dataset_infos.json", "{}");
  const Ended ended = init({"set", "--card", "cpu"});
  ASSERT_EQ(ended.exit, 0) << ended.err;
  EXPECT_THAT(ended.out, HasSubstr("not used"));
  EXPECT_THAT(ended.out, HasSubstr("set/notes.csv (csv beside jsonl)"));
  EXPECT_THAT(ended.out, Not(HasSubstr("dataset_infos")));
}

TEST_F(Init, overwrites_nothing_unasked) {
  project.write("config.yaml", "mine");
  const Ended refused = init({"train.jsonl"});
  EXPECT_EQ(refused.exit, 2);
  EXPECT_THAT(refused.err, HasSubstr("--force"));
  EXPECT_EQ(config(), "mine");
  EXPECT_EQ(init({"train.jsonl", "-o", "train.jsonl", "--force"}).exit, 2);
  EXPECT_EQ(init({"train.jsonl", "--force", "--card", "cpu"}).exit, 0);
  EXPECT_THAT(config(), HasSubstr("trainer_args"));
  const Ended printed = init({"train.jsonl", "-o", "-", "--card", "cpu"});
  EXPECT_EQ(printed.exit, 0) << printed.err;
  EXPECT_THAT(printed.out, HasSubstr("trainer_args:"));
}

TEST_F(Init, plans_for_a_card_that_is_not_here) {
  const Ended ended = init({"train.jsonl", "--card", "h100"});
  ASSERT_EQ(ended.exit, 0) << ended.err;
  for (const char* line : {"bf16: true", "gradient_checkpointing: auto"})
    EXPECT_THAT(config(), HasSubstr(line));
  EXPECT_THAT(config(), Not(HasSubstr("use_cpu")));
  EXPECT_EQ(run({"plan", "config.yaml", "--card", "h100"}, project.here()).exit, 0);
}

TEST_F(Init, makes_a_mixture_of_several_files_and_learns_plain_text) {
  project.write("more.jsonl", chat_line("One?", "Two.") + chat_line("Two?", "Three."));
  ASSERT_EQ(init({"train.jsonl", "more.jsonl", "eval.jsonl", "--card", "cpu"}).exit, 0);
  EXPECT_THAT(config(), HasSubstr("- {path: train.jsonl}\n    - {path: more.jsonl}\n"));
  EXPECT_THAT(config(), HasSubstr("eval_dataset_path: eval.jsonl"));
  project.train_to_the_end({"trainer_args.max_steps=2"});

  std::string rows;
  for (int i = 0; i < 30; ++i)
    rows += R"({"text": "One two three four five six."})"
            "\n";
  project.write("book.json", rows);  // lines, whatever the name says
  fs::remove(project / "eval.jsonl");
  const Ended ended = init({"book.json", "--force", "--card", "cpu"});
  ASSERT_EQ(ended.exit, 0) << ended.err;
  for (const char* line : {"dataset_type: fineweb_edu", "dataset_format: jsonl", "pure_text"})
    EXPECT_THAT(config(), HasSubstr(line));
  project.train_to_the_end({"trainer_args.max_steps=2"});
}

TEST_F(Init, trains_random_weights_where_that_is_asked_for) {
  ASSERT_EQ(init({"train.jsonl", "--from-scratch", "--card", "cpu"}).exit, 0);
  EXPECT_THAT(config(), HasSubstr("load_from_config:"));
  project.train_to_the_end({"trainer_args.max_steps=2"});
}

// The shape of examples/quickstart.
constexpr const char* kSeeing = R"({"model_type": "qwen2_5_vl", "vocab_size": 384,
  "hidden_size": 64, "intermediate_size": 192, "num_hidden_layers": 2, "num_attention_heads": 4,
  "num_key_value_heads": 2, "max_position_embeddings": 2048, "tie_word_embeddings": true,
  "rope_scaling": {"type": "mrope", "mrope_section": [2, 3, 3]}, "bos_token_id": null,
  "eos_token_id": 379, "pad_token_id": 377, "vision_start_token_id": 380,
  "vision_end_token_id": 381, "image_token_id": 382, "video_token_id": 383,
  "vision_config": {"depth": 2, "hidden_size": 64, "intermediate_size": 192, "num_heads": 4,
    "out_hidden_size": 64, "patch_size": 14, "spatial_merge_size": 2, "temporal_patch_size": 2,
    "window_size": 112, "fullatt_block_indexes": [0, 1]}})";

TEST_F(Init, finds_the_folder_of_the_images) {
  const fs::path quickstart = LMMS_SOURCE_DIR "/examples/quickstart";
  fs::copy(quickstart / "tokenizer", project / "model");
  project.write("model/config.json", kSeeing);
  fs::create_directories(project / "set/pictures");
  fs::copy(quickstart / "digit.png", project / "set/pictures/7.png");
  const std::string row = R"({"images": ["7.png"], "messages": [{"role": "user", "content": )"
                          R"("<image>?"}, {"role": "assistant", "content": "7"}]})"
                          "\n";
  std::string rows;
  for (int i = 0; i < 12; ++i) rows += row;
  project.write("set/digits.jsonl", rows);
  project.write("set/digits_val.jsonl", row);
  const Ended ended = init({"set/digits.jsonl", "--from-scratch", "--card", "cpu"}, "model/");
  ASSERT_EQ(ended.exit, 0) << ended.err;
  for (const char* line : {"- {path: set/digits.jsonl, data_folder: set/pictures}",
                           "eval_dataset_path: set/digits_val.jsonl", "processor_name: model",
                           "processor_type: qwen2_5_vl"})
    EXPECT_THAT(config(), HasSubstr(line));
  project.train_to_the_end({"trainer_args.max_steps=2", "trainer_args.eval_steps=2"});
}

TEST_F(Init, teaches_what_is_missing) {
  const Ended hub = init({"train.jsonl"}, "Qwen/Qwen3-0.6B");
  EXPECT_EQ(hub.exit, 2);
  EXPECT_THAT(hub.err, HasSubstr("hf download Qwen/Qwen3-0.6B"));
  EXPECT_THAT(init({"train.jsonl"}, LMMS_SOURCE_DIR "/examples/chat_tiny/tokenizer").err,
              HasSubstr("holds no config.json"));
  EXPECT_THAT(init({"trian.jsonl"}).err, HasSubstr("did you mean 'train.jsonl'?"));
  project.write("qa.jsonl", R"({"question": "1+1?", "answer": "2"})");
  EXPECT_THAT(init({"qa.jsonl"}).err, HasSubstr("its keys are question, answer"));
  project.write("seen.jsonl", R"({"images": ["a.jpg"], "messages": [{"role": "user", "content": )"
                              R"("<image>?"}, {"role": "assistant", "content": "A"}]})");
  EXPECT_THAT(init({"seen.jsonl"}).err, HasSubstr("--media FOLDER"));
  project.write("a.jpg", "x");
  EXPECT_THAT(init({"seen.jsonl"}).err, HasSubstr("take a model that sees: qwen2_5_vl"));
  EXPECT_THAT(init({"train.jsonl", "--card", "h10"}).err, HasSubstr("did you mean 'h100'?"));
  EXPECT_FALSE(fs::exists(project / "config.yaml"));
}

}  // namespace
}  // namespace lmms::e2e
