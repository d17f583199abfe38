#include "core/nearest.h"

#include <gtest/gtest.h>

#include <vector>

namespace lmms {
namespace {

std::optional<std::string> nearest(std::string_view word, std::vector<std::string> names) {
  return nearest_name(word, names);
}

TEST(NearestName, finds_a_letter_changed_lost_added_or_two_swapped) {
  const std::vector<std::string> names{"learning_rate", "weight_decay"};
  for (const char* word : {"weigth_decay", "weight_deca", "weight_decayy", "weight-decay"})
    EXPECT_EQ(nearest(word, names), "weight_decay") << word;
}

TEST(NearestName, is_silent_where_nothing_is_near) {
  EXPECT_EQ(nearest("momentum", {"learning_rate", "weight_decay"}), std::nullopt);
  EXPECT_EQ(nearest("a", {}), std::nullopt);
}

TEST(NearestName, allows_a_third_of_the_word_and_at_most_three_letters) {
  EXPECT_EQ(nearest("ab", {"ac"}), "ac");
  EXPECT_EQ(nearest("ab", {"cd"}), std::nullopt);
  EXPECT_EQ(nearest("abcdefghijkl", {"abcdefghi"}), "abcdefghi");
  EXPECT_EQ(nearest("abcdefghijklmnopqrs", {"abcdefghijklmno"}), std::nullopt);
}

TEST(NearestName, takes_the_first_of_equals) {
  EXPECT_EQ(nearest("qwen4", {"qwen2", "qwen3"}), "qwen2");
}

TEST(NearestPath, finds_what_stands_beside_a_mistyped_path) {
  const auto folder = std::filesystem::temp_directory_path() / "lmms_nearest_path_test";
  std::filesystem::create_directories(folder / "train.jsonl");
  EXPECT_EQ(nearest_path(folder / "trian.jsonl"), (folder / "train.jsonl").string());
  EXPECT_EQ(nearest_path((folder / "trian.jsonl").string() + "/"),
            (folder / "train.jsonl").string());
  EXPECT_EQ(nearest_path(folder / "else"), std::nullopt);
  EXPECT_EQ(nearest_path(folder / "none" / "train.jsonl"), std::nullopt);
  EXPECT_EQ(nearest_path(""), std::nullopt);
  std::filesystem::remove_all(folder);
}

}  // namespace
}  // namespace lmms
