#include "core/files.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace lmms {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

fs::path folder() {
  const fs::path dir = fs::path(testing::TempDir()) / "files_test" /
                       testing::UnitTest::GetInstance()->current_test_info()->name();
  fs::remove_all(dir);
  fs::create_directories(dir);
  return dir;
}

TEST(MappedFile, holds_the_bytes_and_survives_a_move) {
  const fs::path path = folder() / "a";
  write_atomically(path, std::string("x\0y", 3));
  MappedFile first = MappedFile::open(path).take();
  const MappedFile second = std::move(first);
  EXPECT_EQ(second.text(), std::string_view("x\0y", 3));
}

TEST(MappedFile, of_an_empty_file_is_an_empty_span) {
  const fs::path path = folder() / "empty";
  write_atomically(path, "");
  EXPECT_TRUE(MappedFile::open(path).take().bytes().empty());
}

TEST(MappedFile, that_cannot_be_is_a_fault_that_names_the_path) {
  const fs::path dir = folder();
  const auto missing = MappedFile::open(dir / "missing");
  ASSERT_FALSE(missing);
  EXPECT_THAT(missing.fault().text(), HasSubstr((dir / "missing").string() + ": cannot be opened"));
  const auto directory = MappedFile::open(dir);
  ASSERT_FALSE(directory);
  EXPECT_THAT(directory.fault().text(), HasSubstr("is a folder; expected a file"));
}

TEST(WriteAtomically, replaces_a_file_whole_and_leaves_nothing_beside_it) {
  const fs::path dir = folder();
  write_atomically(dir / "a", "long old content");
  write_atomically(dir / "a", "new");
  EXPECT_EQ(*read_file(dir / "a"), "new");
  EXPECT_EQ(std::distance(fs::directory_iterator(dir), fs::directory_iterator()), 1);
}

TEST(WriteAtomically, that_fails_leaves_what_was_there_and_nothing_else) {
  const fs::path dir = folder();
  fs::create_directories(dir / "a");  // a folder cannot be replaced by a file
  EXPECT_THROW(write_atomically(dir / "a", "new"), Error);
  EXPECT_TRUE(fs::is_directory(dir / "a"));
  EXPECT_EQ(std::distance(fs::directory_iterator(dir), fs::directory_iterator()), 1);
}

TEST(OutputFile, appends_and_writes_at_offsets) {
  const fs::path path = folder() / "a";
  {
    OutputFile file(path);
    file.write("ab");
    file.close();
  }
  OutputFile more(path, OutputFile::Open::append);
  more.write("cd");
  more.close();
  EXPECT_EQ(*read_file(path), "abcd");
  OutputFile sparse(path);
  const std::string_view end = "z";
  sparse.write_at(3, std::as_bytes(std::span(end.data(), end.size())));
  sparse.close();
  EXPECT_EQ(*read_file(path), std::string("\0\0\0z", 4));
}

TEST(OutputFile, on_a_full_disk_names_the_path_and_ends_with_1) {
  OutputFile file("/dev/full");
  try {
    file.write("x");
    FAIL() << "a full disk took a byte";
  } catch (const Error& e) {
    EXPECT_THAT(e.what(), HasSubstr("/dev/full: writing failed: No space left on device"));
    EXPECT_THAT(e.what(), HasSubstr("fix: free space on this disk"));
    EXPECT_EQ(e.exit(), Exit::failed);
  }
}

TEST(OutputFile, in_a_folder_that_is_not_there_says_so) {
  EXPECT_THROW(OutputFile(folder() / "no" / "a"), Error);
}

TEST(Fault, shows_only_the_parts_it_has) {
  EXPECT_EQ((Fault{"a.yaml:1:2", "is wrong", "mend it"}).text(),
            "a.yaml:1:2: is wrong\n    fix: mend it");
  EXPECT_EQ((Fault{"", "is wrong", ""}).text(), "is wrong");
}

}  // namespace
}  // namespace lmms
