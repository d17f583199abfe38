#include "checkpoint/checksums.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "checkpoint/scratch_folder.h"

namespace lmms::checkpoint {
namespace {

using testing::HasSubstr;

std::string bytes_of(size_t n) {
  std::string text(n, '\0');
  for (size_t i = 0; i < n; ++i) text[i] = static_cast<char>(i * 2654435761u >> 13);
  return text;
}

FileSum write_in_pieces(const std::filesystem::path& path, std::string_view text, size_t piece) {
  SummedFile file(path);
  for (size_t at = 0; at < text.size(); at += piece) file.write(text.substr(at, piece));
  return file.finish();
}

TEST(Checksums, are_taken_of_pieces_as_the_header_says) {
  ScratchFolder folder;
  const std::string text = bytes_of(2 * kChecksumPiece + 5);
  Hash64 all;
  for (const auto piece : {std::string_view(text).substr(0, kChecksumPiece),
                           std::string_view(text).substr(kChecksumPiece, kChecksumPiece),
                           std::string_view(text).substr(2 * kChecksumPiece)}) {
    const uint64_t hash = hash64(piece);
    all.add(std::as_bytes(std::span(&hash, 1)));  // this machine is little-endian
  }
  EXPECT_EQ(write_in_pieces(folder / "a", text, 1 << 20), (FileSum{text.size(), all.value()}));
}

TEST(Checksums, written_and_read_agree_wherever_the_bytes_are_cut) {
  ScratchFolder folder;
  for (const size_t size : {size_t{0}, size_t{1}, size_t{100'000}, size_t{kChecksumPiece} - 1,
                            size_t{kChecksumPiece}, size_t{kChecksumPiece} + 1}) {
    const std::string text = bytes_of(size);
    for (const size_t piece : {size_t{99'991}, size_t{kChecksumPiece} - 3, 3 * size}) {
      const auto written = write_in_pieces(folder / "file", text, std::max<size_t>(piece, 1));
      for (const unsigned threads : {1u, 3u, 0u}) {
        const auto read = sums_of({folder / "file"}, threads);
        ASSERT_EQ(read.size(), 1u);
        ASSERT_TRUE(read[0].ok());
        EXPECT_EQ(*read[0], written) << size << " in " << piece << ", threads " << threads;
      }
    }
  }
}

TEST(Checksums, of_many_files_keep_their_order_and_name_what_cannot_be_read) {
  ScratchFolder folder;
  std::vector<std::filesystem::path> files;
  std::vector<FileSum> written;
  for (int i = 0; i < 20; ++i) {
    files.push_back(folder / std::to_string(i));
    written.push_back(write_in_pieces(files.back(), bytes_of(1000 * i), 777));
  }
  std::filesystem::remove(files[7]);
  std::filesystem::remove(files[11]);
  std::filesystem::create_directory(files[11]);
  const auto read = sums_of(files, 4);
  ASSERT_EQ(read.size(), files.size());
  for (size_t i = 0; i < files.size(); ++i) {
    if (i == 7 || i == 11) {
      ASSERT_FALSE(read[i].ok());
      EXPECT_EQ(read[i].fault().where, files[i].string());
    } else {
      ASSERT_TRUE(read[i].ok());
      EXPECT_EQ(*read[i], written[i]);
    }
  }
  EXPECT_THAT(read[7].fault().what, HasSubstr("No such file"));
  EXPECT_THAT(read[11].fault().what, HasSubstr("not a regular file"));
}

}  // namespace
}  // namespace lmms::checkpoint
