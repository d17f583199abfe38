#include "core/hash.h"

#include <gtest/gtest.h>

#include <vector>

namespace lmms {
namespace {

// of xxhsum -H3 (xxHash 0.8.1): the hash stands in files, so it must stay what it is
TEST(Hash64, is_XXH3) {
  EXPECT_EQ(hash_text(hash64(std::string_view(""))), "2d06800538d394c2");
  EXPECT_EQ(hash_text(hash64(std::string_view("abc"))), "78af5f94892f3950");
  EXPECT_EQ(hash_text(hash64(std::string(1000, 'x'))), "c0a4877b962cba82");
  EXPECT_EQ(hash_text(0x1f), "000000000000001f");
}

TEST(Hash64, of_pieces_equals_that_of_the_whole) {
  std::string text;
  for (int i = 0; i < 20000; ++i) text += static_cast<char>(i * 31 % 251);
  for (const size_t piece : {1u, 63u, 64u, 255u, 256u, 257u, 4099u, 20000u}) {
    Hash64 hash;
    for (size_t at = 0; at < text.size(); at += piece)
      hash.add(std::string_view(text).substr(at, piece));
    EXPECT_EQ(hash.value(), hash64(text)) << piece;
  }
  Hash64 hash;
  EXPECT_EQ(hash.value(), hash64(std::string_view("")));
  hash.add(std::string_view(text).substr(0, 7));
  const Hash64 moved = std::move(hash);
  EXPECT_EQ(moved.value(), hash64(std::string_view(text).substr(0, 7)));
}

TEST(Hash64, sees_one_bit) {
  std::vector<std::byte> bytes(4096);
  const uint64_t before = hash64(bytes);
  for (const size_t at : {size_t{0}, size_t{2047}, size_t{4095}}) {
    bytes[at] ^= std::byte{0x10};
    EXPECT_NE(hash64(bytes), before) << at;
    bytes[at] ^= std::byte{0x10};
  }
  EXPECT_EQ(hash64(bytes), before);
}

}  // namespace
}  // namespace lmms
