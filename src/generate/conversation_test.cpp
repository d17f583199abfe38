#include "generate/conversation.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "data/data_testing.h"

namespace lmms::generate {
namespace {

using testing::HasSubstr;

data::Record record(const char* fields) {
  return {.origin = {std::make_shared<const std::string>("chats.jsonl"), 7},
          .fields = data::Json::parse(fields),
          .data_folder = nullptr};
}

TEST(Conversations, expect_the_answer_that_closes_a_record) {
  const auto made = conversation_to_answer(record(R"({"messages": [
      {"role": "user", "content": "One?"}, {"role": "assistant", "content": "Two."},
      {"role": "user", "content": "Three?"}, {"role": "assistant", "content": "Four."}]})"));
  ASSERT_TRUE(made);
  EXPECT_EQ(made->question(), "Three?");
  EXPECT_EQ(made->expected, "Four.");
  EXPECT_EQ(made->messages.size(), 3u);
}

TEST(Conversations, that_wait_for_an_answer_expect_none) {
  const auto made =
      conversation_to_answer(record(R"({"messages": [{"role": "user", "content": "One?"}]})"));
  ASSERT_TRUE(made);
  EXPECT_EQ(made->question(), "One?");
  EXPECT_EQ(made->expected, std::nullopt);
}

TEST(Conversations, without_a_turn_to_answer_are_faults_at_their_row) {
  for (const char* fields :
       {R"({"messages": [{"role": "assistant", "content": "Two."}]})", "[1]"}) {
    const auto made = conversation_to_answer(record(fields));
    ASSERT_FALSE(made) << fields;
    EXPECT_THAT(made.fault().where, HasSubstr("chats.jsonl:7")) << fields;
  }
}

TEST(Conversations, name_their_media_in_order) {
  Conversation conversation;
  conversation.messages.push_back(user_message("Which?", {"a.png", "b.png"}));
  const auto media = conversation.media();
  ASSERT_EQ(media.size(), 2u);
  EXPECT_EQ(media[0]->source_name(), "a.png");
  EXPECT_EQ(media[1]->source_name(), "b.png");
  EXPECT_TRUE(images_of(conversation).empty());  // there are no such files
}

TEST(Conversations, are_read_of_every_form_of_file) {
  const data::TempFolder folder;
  const std::string turn = R"({"role": "user", "content": "Hi"})";
  folder.write("one.json", "[" + turn + "]");
  folder.write("some.json", R"([{"messages": [)" + turn + R"(]}, {"messages": [)" + turn + "]}]");
  folder.write("some.jsonl",
               R"({"messages": [)" + turn + "]}\n" + R"({"messages": [)" + turn + "]}\n");
  EXPECT_EQ(read_conversations(folder.path("one.json")).size(), 1u);
  EXPECT_EQ(read_conversations(folder.path("some.json")).size(), 2u);
  EXPECT_EQ(read_conversations(folder.path("some.jsonl")).size(), 2u);
}

TEST(Conversations, of_files_that_hold_none_are_refused_by_name) {
  const data::TempFolder folder;
  folder.write("empty.json", "[]");
  folder.write("chat.txt", "Hi");
  for (const auto& [file, what] : {std::pair("empty.json", "holds no conversation"),
                                   {"chat.txt", "its suffix tells no format"},
                                   {"none.txt", "is no file"}}) {
    try {
      read_conversations(folder.path(file));
      ADD_FAILURE() << file;
    } catch (const Error& e) {
      EXPECT_THAT(e.what(), HasSubstr(file));
      EXPECT_THAT(e.what(), HasSubstr(what));
    }
  }
}

}  // namespace
}  // namespace lmms::generate
