// Configs and files that cannot be trained from: exit 2 and a message that helps.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/files.h"
#include "tests/e2e/project.h"

namespace lmms::e2e {
namespace {

using testing::HasSubstr;

namespace fs = std::filesystem;

struct BadConfig {
  const char* name;
  Words words;
  std::vector<std::string> says;
};

class BadInput : public testing::TestWithParam<BadConfig> {};

TEST_P(BadInput, ends_with_2_before_anything_is_made) {
  const Project project;
  // were the model looked at, its broken weights would be the fault that is named
  fs::copy(pretrained(), project / "broken");
  project.write("broken/model.safetensors", "no tensors");
  Words words{"~model_config.load_from_config", "model_config.load_from_pretrained_path=broken"};
  words.insert(words.end(), GetParam().words.begin(), GetParam().words.end());
  const Ended ended = project.train(words);
  EXPECT_EQ(ended.exit, 2);
  for (const std::string& text : GetParam().says) EXPECT_THAT(ended.err, HasSubstr(text));
  EXPECT_FALSE(fs::exists(project / "out"));
}

INSTANTIATE_TEST_SUITE_P(
    Configs, BadInput,
    testing::Values(
        BadConfig{"typo",
                  {"trainer_args.learning_rat=1"},
                  {"command line", "trainer_args.learning_rat", "did you mean", "learning_rate"}},
        BadConfig{"type", {"trainer_args.save_steps=often"}, {"trainer_args.save_steps", "often"}},
        BadConfig{"range", {"trainer_args.learning_rate=-1"}, {"trainer_args.learning_rate", "-1"}},
        BadConfig{"several",
                  {"trainer_args.bf16=perhaps", "dataset_config.packing_strategy=tight"},
                  {"trainer_args.bf16", "dataset_config.packing_strategy", "first_fit"}},
        BadConfig{"two_models",
                  {"+model_config.load_from_config.model_type=qwen3"},
                  {"load_from_config", "load_from_pretrained_path", "expected one of them"}},
        BadConfig{"not_built",
                  {"trainer_args.sp_ulysses_degree=2"},
                  {"not built yet", "trainer_args.sp_ulysses_degree"}},
        BadConfig{"masked_head",
                  {"model_config.model_general_type=masked_lm"},
                  {"model_config.model_general_type", "qwen3 has no such head", "causal_lm"}},
        BadConfig{"head_of_a_model_that_sees",
                  {"model_config.model_general_type=image_text_to_text"},
                  {"model_config.model_general_type", "qwen3 has no such head", "causal_lm"}},
        BadConfig{"missing_data",
                  {"dataset_config.dataset_path=no/such.jsonl"},
                  {"dataset_config.dataset_path", "no/such.jsonl", "does not exist"}},
        BadConfig{"missing_model",
                  {"model_config.load_from_pretrained_path=no/model"},
                  {"model_config.load_from_pretrained_path", "no/model"}},
        BadConfig{"missing_tokenizer",
                  {"dataset_config.processor_config.processor_name=no/tokenizer"},
                  {"processor_name", "no/tokenizer"}},
        BadConfig{"evaluation_without_data",
                  {"trainer_args.eval_strategy=epoch"},
                  {"dataset_config.eval_dataset_path"}}),
    [](const auto& each) { return std::string(each.param.name); });

TEST(Input, names_file_line_and_column) {
  const Project project;
  project.write("bad.yaml", "trainer_args:\n  learning_rat: 1\n  bf16: perhaps\n");
  const Ended ended = run({"train", "bad.yaml"}, project.here());
  EXPECT_EQ(ended.exit, 2);
  EXPECT_THAT(ended.err, HasSubstr("bad.yaml:2:3: trainer_args.learning_rat"));
  EXPECT_THAT(ended.err, HasSubstr("bad.yaml:3:"));
  EXPECT_THAT(ended.err, HasSubstr("dataset_config"));  // all faults at once
  EXPECT_EQ(run({"train", "none.yaml"}, project.here()).exit, 2);
}

TEST(Input, broken_weights_name_their_file) {
  const Project project;
  fs::copy(pretrained(), project / "broken");
  project.write("broken/model.safetensors", "no tensors");
  const Ended ended = project.train(
      {"~model_config.load_from_config", "model_config.load_from_pretrained_path=broken"});
  EXPECT_EQ(ended.exit, 2);
  EXPECT_THAT(ended.err, HasSubstr("broken/model.safetensors"));
}

TEST(Input, a_checkpoint_that_lacks_a_tensor_names_it) {
  const Project project;
  const Ended ended =
      project.train({"~model_config.load_from_config",
                     "model_config.load_from_pretrained_path=" + pretrained().string(),
                     "+model_config.overwrite_config.num_hidden_layers=3"});
  EXPECT_EQ(ended.exit, 2);
  EXPECT_THAT(ended.err, HasSubstr("model.layers.2."));
}

TEST(Input, an_unknown_model_type_names_the_nearest) {
  const Project project;
  const Ended ended = project.train({"model_config.load_from_config.model_type=qwen33"});
  EXPECT_EQ(ended.exit, 2);
  EXPECT_THAT(ended.err, HasSubstr("qwen3"));
}

TEST(Input, a_broken_tokenizer_names_its_file) {
  const Project project;
  fs::create_directory(project / "tokenizer");
  project.write("tokenizer/tokenizer.json", "{\"model\": {\"type\": \"BPE\"");
  const Ended broken = project.train({"dataset_config.processor_config.processor_name=tokenizer"});
  EXPECT_EQ(broken.exit, 2);
  EXPECT_THAT(broken.err, HasSubstr("tokenizer/tokenizer.json"));
  fs::remove(project / "tokenizer/tokenizer.json");
  const Ended empty = project.train({"dataset_config.processor_config.processor_name=tokenizer"});
  EXPECT_EQ(empty.exit, 2);
  EXPECT_THAT(empty.err, HasSubstr("tokenizer"));
}

TEST(Input, a_token_outside_the_vocabulary_is_an_error) {
  const Project project;
  const Ended ended = project.train({"model_config.load_from_config.config.vocab_size=1000"});
  EXPECT_EQ(ended.exit, 2);
  EXPECT_THAT(ended.err, HasSubstr("vocabulary of 1000"));
}

TEST(Input, data_that_is_something_else_names_its_file) {
  const Project project;
  project.write("train.arrow", "this is no arrow");
  const Ended ended = project.train(
      {"dataset_config.dataset_path=train.arrow", "dataset_config.dataset_format=arrow"});
  EXPECT_EQ(ended.exit, 2);
  EXPECT_THAT(ended.err, HasSubstr("train.arrow"));
  project.write("empty.jsonl", "");
  const Ended empty = project.train({"dataset_config.dataset_path=empty.jsonl"});
  EXPECT_EQ(empty.exit, 2);
  EXPECT_THAT(empty.err, HasSubstr("empty.jsonl"));
}

}  // namespace
}  // namespace lmms::e2e
