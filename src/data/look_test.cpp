#include "data/look.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "data/data_testing.h"

namespace lmms::data {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

constexpr const char* kChat =
    R"({"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}]})"
    "\n";

std::string text_of(const Result<RowsLook>& look) {
  return look ? "" : look.fault().text();
}

TEST(FormatByContents, is_what_the_bytes_say_and_not_the_name) {
  const TempFolder folder;
  EXPECT_EQ(*format_by_contents(folder.write("a.json", kChat)), Format::jsonl);
  EXPECT_EQ(*format_by_contents(folder.write("b.jsonl", "\n [\n{}]")), Format::json);
  EXPECT_EQ(*format_by_contents(folder.write("c", "\xef\xbb\xbf{\"text\": 1}")), Format::jsonl);
  EXPECT_EQ(*format_by_contents(folder.write("d.csv", "prompt,response\na,b\n")), Format::csv);
  EXPECT_EQ(*format_by_contents(fixture("columns.parquet")), Format::parquet);
  EXPECT_EQ(*format_by_contents(fixture("columns.arrow")), Format::arrow);
  EXPECT_EQ(*format_by_contents(fixture("columns_stream.arrow")), Format::arrow);
}

TEST(FormatByContents, says_what_to_do_with_what_it_cannot_read) {
  const TempFolder folder;
  EXPECT_THAT(format_by_contents(folder.write("a.jsonl.gz", "\x1f\x8b\x08")).fault().text(),
              HasSubstr("gunzip"));
  EXPECT_THAT(format_by_contents(folder.write("book.txt", "Call me Ishmael.")).fault().text(),
              HasSubstr("{\"text\""));
  EXPECT_THAT(format_by_contents(folder.write("empty.jsonl", "")).fault().what, "is empty");
  EXPECT_FALSE(format_by_contents(folder.write("noise", std::string_view("\0\1\2\3", 4))).ok());
  EXPECT_FALSE(format_by_contents(folder.path("absent")).ok());
}

TEST(FindData, finds_the_evaluation_split_by_its_name) {
  const TempFolder folder;
  const auto beside = [&](const char* training, std::initializer_list<const char*> others) {
    for (const auto& entry : fs::directory_iterator(folder.path("."))) fs::remove_all(entry);
    folder.write(training, kChat);
    for (const char* other : others) folder.write(other, kChat);
    const FoundData found = find_data(folder.path(training)).take();
    EXPECT_EQ(found.training.size(), 1U);
    return found.evaluation ? fs::path(found.evaluation->path).filename().string() : "";
  };
  EXPECT_EQ(beside("train.jsonl", {"eval.jsonl", "test.jsonl"}), "eval.jsonl");
  EXPECT_EQ(beside("train.jsonl", {"test.jsonl", "validation.jsonl"}), "validation.jsonl");
  EXPECT_EQ(beside("chats.jsonl", {"chats_val.jsonl", "eval.jsonl"}), "chats_val.jsonl");
  EXPECT_EQ(beside("chats_train.jsonl", {"chats-dev.json"}), "chats-dev.json");
  EXPECT_EQ(beside("chats.jsonl", {"maths_eval.jsonl", "evaluate.py", "evalution.jsonl"}), "");
  EXPECT_EQ(beside("eval.jsonl", {"test.jsonl"}), "") << "the split itself was asked for";
}

TEST(FindData, takes_a_folder_apart) {
  const TempFolder folder;
  fs::create_directories(folder.path("hub/data"));
  for (const char* name : {"hub/data/train-00000-of-00002.parquet",
                           "hub/data/train-00001-of-00002.parquet", "hub/data/test-0.parquet"})
    fs::copy(fixture("columns.parquet"), folder.path(name));
  folder.write("hub/README.md", "x");
  const FoundData hub = find_data(folder.path("hub")).take();
  ASSERT_EQ(hub.training.size(), 1U);
  EXPECT_THAT(hub.training[0].path, HasSubstr("hub/data/train-0000"));
  EXPECT_THAT(hub.training[0].path, testing::EndsWith("*.parquet"));
  EXPECT_THAT(hub.evaluation.value().path, testing::EndsWith("test-0.parquet"));

  fs::create_directories(folder.path("two"));
  folder.write("two/a.jsonl", kChat);
  folder.write("two/b.jsonl", kChat);
  const FoundData two = find_data(folder.path("two")).take();
  ASSERT_EQ(two.training.size(), 1U);
  EXPECT_EQ(two.training[0].path, folder.path("two"));
  EXPECT_EQ(two.training[0].data_type, "jsonl");

  const FoundData saved = find_data(fixture("splits")).take();
  EXPECT_EQ(saved.training.at(0).data_type, "arrow");
  EXPECT_EQ(saved.evaluation.value().path, fixture("splits/test"));

  fs::create_directories(folder.path("none"));
  EXPECT_THAT(find_data(folder.path("none")).fault().what, HasSubstr("holds no parquet"));
}

TEST(FindData, says_what_of_a_folder_it_does_not_use) {
  const TempFolder folder;
  fs::create_directories(folder.path("set"));
  for (const char* name : {"set/train.jsonl", "set/more.jsonl", "set/eval.jsonl", "set/test.jsonl"})
    folder.write(name, kChat);
  folder.write("set/notes.csv", "prompt,response\na,b\n");
  for (const char* name :
       {"set/dataset_infos.json", "set/config.json", "set/tokenizer_config.json"})
    folder.write(name, "{}");
  const FoundData found = find_data(folder.path("set")).take();
  EXPECT_EQ(found.training.at(0).path, folder.path("set/train.jsonl"));
  EXPECT_EQ(found.evaluation.value().path, folder.path("set/eval.jsonl"));
  EXPECT_THAT(
      found.not_used,
      testing::ElementsAre(folder.path("set/more.jsonl") + " (beside files that are called train)",
                           folder.path("set/test.jsonl") + " (another split is evaluated)",
                           folder.path("set/notes.csv") + " (csv beside jsonl)"));

  fs::create_directories(folder.path("table"));
  folder.write("table/config.json", "{}");
  folder.write("table/rows.csv", "prompt,response\na,b\n");
  EXPECT_EQ(find_data(folder.path("table")).take().training.at(0).data_type, "csv");
}

TEST(FindData, says_why_evaluation_files_are_not_taken) {
  const TempFolder folder;
  for (const char* name : {"a", "b"}) fs::create_directories(folder.path(name));
  folder.write("a/train.jsonl", kChat);
  folder.write("a/eval.jsonl", kChat);
  folder.write("b/eval.jsonl", kChat);
  const FoundData found = find_data(folder.path(".")).take();
  EXPECT_FALSE(found.evaluation.has_value());
  EXPECT_THAT(found.without_evaluation, HasSubstr("a/eval.jsonl"));
  EXPECT_THAT(found.without_evaluation, HasSubstr("no one path names them"));
}

TEST(FindData, keeps_a_named_split_out_of_what_is_trained) {
  const TempFolder folder;
  const std::vector<std::string> three{folder.write("a.jsonl", kChat),
                                       folder.write("b.json", kChat),
                                       folder.write("a_test.jsonl", kChat)};
  const FoundData found = find_data(three).take();
  ASSERT_EQ(found.training.size(), 2U);
  EXPECT_EQ(found.training[1].data_type, "jsonl");
  EXPECT_EQ(found.evaluation.value().path, three[2]);
  const std::vector<std::string> splits{three[2], folder.write("c_val.jsonl", kChat)};
  EXPECT_EQ(find_data(splits).take().training.size(), 2U);
}

TEST(FindData, names_what_was_perhaps_meant) {
  const TempFolder folder;
  folder.write("chats.jsonl", kChat);
  EXPECT_THAT(find_data(folder.path("chat.jsonl")).fault().fix, HasSubstr("chats.jsonl"));
  EXPECT_EQ(find_data(folder.path("cha*.jsonl")).take().training.size(), 1U);
}

RowsLook look(const std::string& path, const char* type = "jsonl") {
  SourceConfig source;
  source.path = path;
  source.data_type = type;
  return look_at_rows(source).take();
}

TEST(LookAtRows, knows_every_layout) {
  const TempFolder folder;
  EXPECT_EQ(look(folder.write("a", kChat)).layout, "OpenAI messages");
  EXPECT_EQ(look(folder.write("b", R"({"conversations": [{"from": "human", "value": "Hi"},)"
                                   R"( {"from": "gpt", "value": "Yo"}]})"))
                .layout,
            "LLaVA conversations");
  EXPECT_EQ(look(folder.write("c", R"({"instruction": "Add", "input": "", "output": "1"})")).layout,
            "Alpaca instructions");
  EXPECT_EQ(look(folder.write("d", R"({"prompt": "Add", "response": "1"})")).layout,
            "prompts and responses");
  const RowsLook plain = look(folder.write("e", R"({"text": "Call me Ishmael."})"));
  EXPECT_EQ(plain.layout, "plain text");
  EXPECT_EQ(plain.form, RecordForm::plain_text);
}

TEST(LookAtRows, finds_images_and_their_paths) {
  const TempFolder folder;
  const std::string rows =
      R"({"images": ["a/1.jpg", "/abs/2.jpg"], "messages": [{"role": "user", "content": )"
      R"("<image><image>What?"}, {"role": "assistant", "content": "A cat"}]})"
      "\n" +
      std::string(kChat);
  const RowsLook seen = look(folder.write("a", rows));
  EXPECT_EQ(seen.form, RecordForm::media_chats);
  EXPECT_THAT(seen.relative_media, testing::ElementsAre("a/1.jpg"));
}

TEST(LookAtRows, says_which_keys_are_there_and_which_are_wanted) {
  const TempFolder folder;
  SourceConfig source;
  source.data_type = "jsonl";
  source.path = folder.write("qa", R"({"question": "1+1?", "answer": "2", "id": 7})");
  EXPECT_THAT(text_of(look_at_rows(source)), HasSubstr("its keys are question, answer, id"));
  EXPECT_THAT(text_of(look_at_rows(source)), HasSubstr("jq -c '{prompt: .question"));
  source.path = folder.write("mixed", std::string(kChat) + R"({"text": "x"})" + "\n" + kChat);
  const RowsLook mixed = look_at_rows(source).take();
  EXPECT_EQ(mixed.broken, 1);
  EXPECT_THAT(mixed.first_broken.text(), HasSubstr("mixed:2"));
  source.path = folder.write("garbage", "{]\n\x01\x02\n{\"messages\": 7}\n");
  EXPECT_THAT(text_of(look_at_rows(source)), HasSubstr("garbage:1"));
}

TEST(FindMediaFolder, looks_near_the_data) {
  const TempFolder folder;
  const auto find = [&](const std::string& data, std::vector<std::string> media) {
    return find_media_folder(folder.path(data), media);
  };
  fs::create_directories(folder.path("set/pictures/a"));
  folder.write("set/chats.jsonl", "");
  folder.write("set/pictures/a/1.jpg", "");
  folder.write("set/2.jpg", "");
  folder.write("3.jpg", "");
  EXPECT_EQ(find("set/chats.jsonl", {"a/1.jpg"}).take(), folder.path("set/pictures"));
  EXPECT_EQ(find("set/chats.jsonl", {"2.jpg"}).take(), folder.path("set"));
  EXPECT_EQ(find("set/chats.jsonl", {"3.jpg"}).take(),
            fs::path(folder.path("set")).parent_path().string());
  EXPECT_EQ(find("set/chats.jsonl", {}).take(), "");
  EXPECT_THAT(find("set/chats.jsonl", {"a/7.jpg"}).fault().fix, HasSubstr("--media"));
}

}  // namespace
}  // namespace lmms::data
