// `lmms chat` at a terminal.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>
#include <filesystem>

#include "core/files.h"
#include "tests/e2e/project.h"
#include "tests/e2e/terminal.h"

namespace lmms::e2e {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

Words chat(const char* most_tokens) {
  return {"chat", pretrained().string(), "--cpu", "--greedy", "--max-new-tokens", most_tokens};
}

constexpr const char* kPrompt = "> ";
constexpr const char* kAnswered = "--max-new-tokens]";

TEST(ChatAtATerminal, edits_lines_and_goes_back_to_those_of_the_talk_before) {
  const Project project;
  {
    Terminal terminal(chat("2"), project.here());
    ASSERT_TRUE(terminal.shows(kPrompt)) << terminal.screen();
    terminal.type("Hellx\x7fo\xc3\xa4\x7f \xe4\xbd\xa0\r");  // backspace takes whole characters
    ASSERT_TRUE(terminal.shows(kAnswered)) << terminal.screen();
    terminal.type("/quit\r");
    EXPECT_EQ(terminal.wait(), 0);
  }
  const fs::path history = project / ".local/state/lmms/chat_history";
  EXPECT_EQ(read_file(history).take(), "Hello \xe4\xbd\xa0\n/quit\n");
  EXPECT_EQ(fs::status(history).permissions(), fs::perms::owner_read | fs::perms::owner_write);

  Terminal terminal(chat("2"), project.here());
  ASSERT_TRUE(terminal.shows(kPrompt)) << terminal.screen();
  terminal.type("\x1b[A\x1b[A!\r");
  ASSERT_TRUE(terminal.shows(kAnswered)) << terminal.screen();
  ASSERT_TRUE(terminal.shows(kPrompt));  // typed before it, Ctrl-D would be lost
  terminal.type("\x04");
  EXPECT_EQ(terminal.wait(), 0);
  EXPECT_THAT(read_file(history).take(), HasSubstr("\nHello \xe4\xbd\xa0!\n"));
}

TEST(ChatAtATerminal, an_interrupt_clears_a_line_and_ends_nothing) {
  const Project project;
  Terminal terminal(chat("2"), project.here());
  ASSERT_TRUE(terminal.shows(kPrompt)) << terminal.screen();
  terminal.type("\x03");
  ASSERT_TRUE(terminal.shows("Ctrl-D or /quit leaves.")) << terminal.screen();
  ASSERT_TRUE(terminal.shows(kPrompt));
  terminal.type("not to be sent");
  ASSERT_TRUE(terminal.shows("not to be sent"));  // Ctrl-C drops what was not read yet
  terminal.type("\x03");
  ASSERT_TRUE(terminal.shows("^C\r\n"));
  ASSERT_TRUE(terminal.shows(kPrompt));
  terminal.type("\x03");
  ASSERT_TRUE(terminal.shows("^C\r\n"));
  ASSERT_TRUE(terminal.shows(kPrompt));
  terminal.type("Hello\r");
  ASSERT_TRUE(terminal.shows(kAnswered)) << terminal.screen();
  ASSERT_TRUE(terminal.shows(kPrompt));
  terminal.type("\x04");
  EXPECT_EQ(terminal.wait(), 0);
  const std::string& screen = terminal.screen();
  EXPECT_EQ(screen.find("/quit leaves"), screen.rfind("/quit leaves"));  // said once
  EXPECT_EQ(read_file(project / ".local/state/lmms/chat_history").take(), "Hello\n");
}

TEST(ChatAtATerminal, an_interrupt_stops_an_answer_and_the_talk_goes_on) {
  const Project project;
  Terminal terminal(chat("1000000"), project.here());
  ASSERT_TRUE(terminal.shows(kPrompt)) << terminal.screen();
  terminal.type("Hello\r");
  ASSERT_TRUE(terminal.shows("Hello\r\n")) << terminal.screen();
  ASSERT_TRUE(terminal.shows_more(20));  // of the answer
  terminal.type("\x03");
  ASSERT_TRUE(terminal.shows("[stopped]")) << terminal.screen();
  ASSERT_TRUE(terminal.shows(kPrompt));
  terminal.type("/quit\r");
  EXPECT_EQ(terminal.wait(), 0);
}

TEST(ChatAtATerminal, what_is_pasted_is_one_message) {
  const Project project;
  Terminal terminal(chat("2"), project.here());
  ASSERT_TRUE(terminal.shows(kPrompt)) << terminal.screen();
  terminal.type("\x1b[200~one\rtwo\tthree\r\x1b[201~ four\r");
  ASSERT_TRUE(terminal.shows(kAnswered)) << terminal.screen();
  ASSERT_TRUE(terminal.shows(kPrompt));
  terminal.type("\x04");
  EXPECT_EQ(terminal.wait(), 0);
  EXPECT_EQ(read_file(project / ".local/state/lmms/chat_history").take(),
            "one\\ntwo    three four\n");
}

TEST(ChatAtATerminal, files_that_cannot_be_shown_leave_it_going) {
  const Project project;
  project.write("a picture.png", "no picture");
  Terminal terminal(chat("2"), project.here());
  ASSERT_TRUE(terminal.shows(kPrompt)) << terminal.screen();
  terminal.type("/image gone.png\r");
  ASSERT_TRUE(terminal.shows("takes text alone")) << terminal.screen();
  terminal.type("/vid\t'a pic\t\r");  // completed: /video a\ picture.png
  ASSERT_TRUE(terminal.shows("video a picture.png: ")) << terminal.screen();
  ASSERT_TRUE(terminal.shows(kPrompt));
  terminal.type("Hello\r");
  ASSERT_TRUE(terminal.shows(kAnswered)) << terminal.screen();
  ASSERT_TRUE(terminal.shows(kPrompt));
  terminal.type("\x04");
  EXPECT_EQ(terminal.wait(), 0);
}

TEST(ChatAtATerminal, is_ended_by_a_signal_that_ends_programs) {
  const Project project;
  Terminal terminal(chat("2"), project.here());
  ASSERT_TRUE(terminal.shows(kPrompt)) << terminal.screen();
  ::kill(terminal.process(), SIGTERM);
  EXPECT_EQ(terminal.wait(), -1);
}

}  // namespace
}  // namespace lmms::e2e
