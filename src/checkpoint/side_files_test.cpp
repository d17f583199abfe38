#include "checkpoint/side_files.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "checkpoint/hf_write.h"
#include "checkpoint/scratch_folder.h"
#include "core/files.h"

namespace lmms::checkpoint {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Pair;

void put(const fs::path& path, const std::string& text) {
  fs::create_directories(path.parent_path());
  OutputFile(path).write(text);
}

TEST(SideFiles, are_read_and_others_are_not) {
  ScratchFolder from;
  put(from / "config.json", "{}");
  const std::vector<std::string> taken{"added_tokens.json",
                                       "additional_chat_templates/tool.jinja",
                                       "audio_tokenizer_config.json",
                                       "chat_template.jinja",
                                       "chat_template.json",
                                       "generation_config.json",
                                       "merges.txt",
                                       "preprocessor_config.json",
                                       "processor_config.json",
                                       "qwen.tiktoken",
                                       "sentencepiece.bpe.model",
                                       "source.spm",
                                       "special_tokens_map.json",
                                       "spiece.model",
                                       "tekken.json",
                                       "tokenizer.json",
                                       "tokenizer.model",
                                       "tokenizer_config.json",
                                       "video_preprocessor_config.json",
                                       "vocab.json",
                                       "vocab.txt"};
  for (const auto& name : taken) put(from / name, "of " + name);
  for (const char* name : {"README.md", "modeling_x.py", "pytorch_model.bin", "model.safetensors",
                           "additional_chat_templates/notes.txt"})
    put(from / name, name);
  fs::create_directory(from / "vocab.bpe");
  const SideFiles files = read_side_files(from.path(), {}).take();
  std::vector<std::string> names;
  for (const auto& [name, content] : files) {
    names.push_back(name.string());
    EXPECT_EQ(content, "of " + name.string());
  }
  EXPECT_EQ(names, taken);
}

TEST(SideFiles, of_the_model_come_from_its_own_folder) {
  ScratchFolder tokenizer, model;
  put(tokenizer / "tokenizer.json", "t");
  put(tokenizer / "generation_config.json", "of the tokenizer's model");
  put(model / "tokenizer.json", "of the model");
  put(model / "generation_config.json", "g");
  put(model / "config.json", R"({"auto_map": {"AutoConfig": "configuration_x.X"}})");
  put(model / "configuration_x.py", "x");
  EXPECT_THAT(read_side_files(tokenizer.path(), model.path()).take(),
              ElementsAre(Pair("configuration_x.py", "x"), Pair("generation_config.json", "g"),
                          Pair("tokenizer.json", "t")));
}

TEST(SideFiles, are_written_though_their_folder_is_gone) {
  ScratchFolder to;
  ModelFiles model{.config = {{"a", 1}}, .tensors = {}};
  {
    ScratchFolder from;
    put(from / "tokenizer.json", "t");
    put(from / "additional_chat_templates/tool.jinja", "j");
    model.side_files = std::make_shared<SideFiles>(read_side_files(from.path(), {}).take());
  }
  const FileSums sums = write_model(to.path(), model);
  EXPECT_EQ(read_file(to / "tokenizer.json").take(), "t");
  EXPECT_EQ(read_file(to / "additional_chat_templates/tool.jinja").take(), "j");
  EXPECT_EQ(read_file(to / "config.json").take(), "{\n  \"a\": 1\n}\n");
  EXPECT_EQ(sums.size(), 4u);
  for (const auto& [path, sum] : sums) EXPECT_EQ(sum, *sums_of({path})[0]) << path;
}

TEST(SideFiles, that_cannot_be_read_are_a_fault_not_left_out) {
  ScratchFolder from;
  fs::create_symlink("blobs/gone", from / "tokenizer_config.json");  // as in a torn hub cache
  const auto files = read_side_files(from.path(), {});
  ASSERT_FALSE(files.ok());
  EXPECT_THAT(files.fault().text(), HasSubstr("tokenizer_config.json: cannot be opened"));
}

TEST(SideFiles, have_a_bound) {
  ScratchFolder from;
  put(from / "tokenizer.model", "");
  fs::resize_file(from / "tokenizer.model", kMaxSideBytes + 1);  // a hole: takes no room
  const auto files = read_side_files(from.path(), {});
  ASSERT_FALSE(files.ok());
  EXPECT_THAT(files.fault().text(), HasSubstr("tokenizer.model: "));
}

}  // namespace
}  // namespace lmms::checkpoint
