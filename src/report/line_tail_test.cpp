#include "report/line_tail.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "core/files.h"

namespace lmms::report {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
namespace fs = std::filesystem;

class LineTailTest : public testing::Test {
 protected:
  LineTailTest() { fs::remove(path); }
  void append(const std::string& text) const {
    std::ofstream(path, std::ios::app | std::ios::binary) << text;
  }
  std::vector<std::string> read() {
    std::vector<std::string> lines;
    tail.read([&] { lines.emplace_back("ANEW"); },
              [&](std::string_view line) { lines.emplace_back(line); });
    return lines;
  }

  const fs::path path =
      fs::path(testing::TempDir()) /
      (std::string("tail_") + testing::UnitTest::GetInstance()->current_test_info()->name());
  LineTail tail{path};
};

TEST_F(LineTailTest, gives_lines_once_as_they_are_appended) {
  EXPECT_THAT(read(), IsEmpty());
  EXPECT_FALSE(tail.exists());
  append("a\nb\n");
  EXPECT_THAT(read(), ElementsAre("ANEW", "a", "b"));
  EXPECT_THAT(read(), IsEmpty());
  append("c\n\nd\n");
  EXPECT_THAT(read(), ElementsAre("c", "d"));
  EXPECT_GT(tail.modified(), 1e9);
}

TEST_F(LineTailTest, waits_for_the_rest_of_a_torn_line) {
  append("a\nto");
  EXPECT_THAT(read(), ElementsAre("ANEW", "a"));
  append("rn");
  EXPECT_THAT(read(), IsEmpty());
  append(" line\n");
  EXPECT_THAT(read(), ElementsAre("torn line"));
}

TEST_F(LineTailTest, reads_a_replaced_file_anew_even_if_it_is_longer) {
  write_atomically(path, "a\nb\n");
  read();
  write_atomically(path, "a\nc\nd\n");
  EXPECT_THAT(read(), ElementsAre("ANEW", "a", "c", "d"));
}

TEST_F(LineTailTest, reads_a_file_anew_that_was_cut_or_rewritten_in_place) {
  append("a\nb\nc\n");
  read();
  fs::resize_file(path, 2);
  EXPECT_THAT(read(), ElementsAre("ANEW", "a"));
  std::ofstream(path, std::ios::trunc) << "x\ny\n";
  EXPECT_THAT(read(), ElementsAre("ANEW", "x", "y"));
}

TEST_F(LineTailTest, tells_that_a_file_is_gone) {
  append("a\n");
  read();
  fs::remove(path);
  EXPECT_THAT(read(), ElementsAre("ANEW"));
  EXPECT_FALSE(tail.exists());
  EXPECT_THAT(read(), IsEmpty());
}

TEST_F(LineTailTest, reads_lines_beyond_its_chunks) {
  const std::string wide(3'000'000, 'x');
  append("a\n" + wide + "\nb\n");
  EXPECT_THAT(read(), ElementsAre("ANEW", "a", wide, "b"));
}

TEST_F(LineTailTest, leaves_out_a_line_without_end) {
  append(std::string(size_t{130} << 20, '\0') + "\nb\n");
  EXPECT_THAT(read(), ElementsAre("ANEW", "b"));
}

TEST_F(LineTailTest, takes_no_folder_for_a_file) {
  EXPECT_THAT(LineTail("/").read([] {}, [](std::string_view) {}), LineTail::Change::none);
}

}  // namespace
}  // namespace lmms::report
