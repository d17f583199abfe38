#include "app/chat_commands.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "core/error.h"

namespace lmms::app {
namespace {

namespace fs = std::filesystem;
using Kind = ChatLine::Kind;
using testing::ElementsAre;
using testing::IsEmpty;

TEST(ChatLines, are_commands_or_texts) {
  for (const auto& [line, kind, rest] :
       {std::tuple("  ", Kind::nothing, ""),
        {"Hello", Kind::text, "Hello"},
        {" /quit ", Kind::quit, ""},
        {"/exit", Kind::quit, ""},
        {"/image  a b.png ", Kind::image, "a b.png"},
        {"/video", Kind::video, ""},
        {"/system Be brief.", Kind::system, "Be brief."},
        {"/what", Kind::unknown, "/what is no command"},
        {"/imgae cat.jpg", Kind::unknown, "/imgae is no command; did you mean /image?"},
        {"/sytem", Kind::unknown, "/sytem is no command; did you mean /system?"},
        {"/imgae/cat.jpg", Kind::text, "/imgae/cat.jpg"},
        {"/imagine a cat", Kind::text, "/imagine a cat"},
        {"/usr/bin", Kind::text, "/usr/bin"}}) {
    const ChatLine read = read_chat_line(line);
    EXPECT_EQ(read.kind, kind) << line;
    EXPECT_EQ(read.rest, rest) << line;
  }
}

TEST(ChatLines, are_all_listed_by_help) {
  for (const char* name : {"/image", "/video", "/again", "/reset", "/system", "/help", "/quit"})
    EXPECT_THAT(chat_help(), testing::HasSubstr(name));
}

class ChatPaths : public testing::Test {
 protected:
  ChatPaths() : folder_(fs::temp_directory_path() / ("paths_" + std::to_string(getpid()))) {
    fs::create_directories(folder_ / "pictures");
    for (const char* name : {"my cat.png", "my cow.png", "dog.png", ".hidden"})
      std::ofstream(folder_ / name) << "x";
  }
  ~ChatPaths() override { fs::remove_all(folder_); }
  std::string at(const std::string& name) const { return (folder_ / name).string(); }
  fs::path folder_;
};

TEST_F(ChatPaths, are_words_of_a_shell_or_one_name_with_blanks) {
  EXPECT_THAT(paths_of("~/dog.png ~/'my cat.png'", folder_.string()),
              ElementsAre(at("dog.png"), at("my cat.png")));
  EXPECT_THAT(paths_of("~/my cat.png", folder_.string()), ElementsAre(at("my cat.png")));
  EXPECT_THAT(paths_of("no such.png", ""), ElementsAre("no", "such.png"));
  EXPECT_THROW(paths_of("'no end", ""), Error);
  EXPECT_THROW(paths_of("~/x", ""), Error);  // there is no home
}

TEST_F(ChatPaths, are_completed_as_a_shell_reads_them) {
  const auto texts = [&](const std::string& line) {
    return complete_chat_line(line, folder_.string()).texts;
  };
  EXPECT_THAT(texts("/image ~/d"), ElementsAre("~/dog.png"));
  EXPECT_THAT(texts("/image ~/dog.png ~/my\\ "), ElementsAre("~/my\\ cat.png", "~/my\\ cow.png"));
  EXPECT_THAT(texts("/video '~/my c"), ElementsAre("~/my\\ cat.png", "~/my\\ cow.png"));
  EXPECT_THAT(texts("/image " + folder_.string() + "/p"), ElementsAre(at("pictures/")));
  EXPECT_THAT(texts("/image ~/none/"), IsEmpty());
  EXPECT_EQ(complete_chat_line("/image a ~/d", folder_.string()).begin, 9u);
  EXPECT_EQ(complete_chat_line("/image a ", folder_.string()).begin, 9u);
}

TEST_F(ChatPaths, are_completed_behind_commands_alone) {
  EXPECT_THAT(complete_chat_line("/s", "").texts, ElementsAre("/system "));
  EXPECT_THAT(complete_chat_line("/re", "").texts, ElementsAre("/reset"));
  EXPECT_THAT(complete_chat_line("Hello ~/d", folder_.string()).texts, IsEmpty());
  EXPECT_THAT(complete_chat_line("/system ~/d", folder_.string()).texts, IsEmpty());
}

}  // namespace
}  // namespace lmms::app
