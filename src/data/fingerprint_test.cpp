#include "data/fingerprint.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <thread>

#include "data/data_testing.h"
#include "data/line_index.h"

namespace lmms::data {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

std::vector<SourceFingerprint> taken(const std::vector<std::string>& paths, double weight = 1) {
  DatasetOptions options;
  for (const auto& path : paths) {
    SourceConfig config;
    config.path = path;
    config.weight = weight;
    options.sources.push_back(config);
  }
  return fingerprints_of(*Dataset::open(options).take());
}

TEST(TextHash, is_the_same_for_the_index_of_lines_and_every_number_of_threads) {
  std::string text;
  for (int i = 0; text.size() < kHashPiece + 100; ++i) text += std::string(i % 999, 'x') + "\n";
  EXPECT_EQ(LineIndex(text).hash(), text_hash(text));
  EXPECT_EQ(LineIndex(text, 3).hash(), text_hash(text));
  EXPECT_EQ(LineIndex("").hash(), text_hash(""));
  auto other = text;
  other.back() = ' ';
  EXPECT_NE(LineIndex(other).hash(), text_hash(text));
}

TEST(SampledHash, sees_every_byte_of_a_small_file_and_the_ends_of_a_large_one) {
  std::string small(1000, 'a');
  const auto before = sampled_hash(small);
  for (const size_t at : {0, 499, 999}) {
    small[at] = 'b';
    EXPECT_NE(sampled_hash(small), before);
    small[at] = 'a';
  }
  std::string large((size_t{8} << 20) + 12345, 'a');
  const auto large_before = sampled_hash(large);
  for (const size_t at :
       {size_t{0}, size_t{65535}, large.size() - (size_t{1} << 20), large.size() - 1}) {
    large[at] = 'b';
    EXPECT_NE(sampled_hash(large), large_before) << at;
    large[at] = 'a';
  }
  EXPECT_NE(sampled_hash(large + "a"), large_before);
}

TEST(Fingerprint, tells_the_same_bytes_from_others_in_every_format) {
  TempFolder folder;
  const std::pair<const char*, std::string> files[] = {
      {"a.jsonl", "{\"n\": 1}\n{\"n\": 2}\n"},
      {"a.json", "[{\"n\": 1}, {\"n\": 2}]"},
      {"a.csv", "n\n1\n2\n"},
      {"a.arrow", file_text(fixture("columns.arrow"))},
      {"a.parquet", file_text(fixture("part-0.parquet"))},
  };
  for (const auto& [name, text] : files) {
    const auto before = taken({folder.write(name, text)});
    ASSERT_EQ(before.size(), 1u);
    EXPECT_EQ(before[0].files[0].bytes, static_cast<int64_t>(text.size()));
    EXPECT_THAT(changed_files(before, taken({folder.write(name, text)})), IsEmpty()) << name;
    // under another name, in another folder
    std::filesystem::create_directories(folder.path("b"));
    EXPECT_THAT(changed_files(before, taken({folder.write(std::string("b/") + name, text)})),
                IsEmpty());
    // two rows change places; in files of columns a byte that opening does not look at
    auto other = text;
    if (const size_t one = text.find('1'); infer_format(name) < Format::arrow) {
      std::swap(other[one], other[text.find('2', one)]);
    } else {
      other[7] = static_cast<char>(other[7] ^ 1);
    }
    const auto path = folder.write(name, other);
    EXPECT_THAT(changed_files(before, taken({path})),
                ElementsAre(path + ": other content, of the same size"));
  }
  const auto path = folder.write("a.jsonl", files[0].second);
  const auto before = taken({path});
  EXPECT_THAT(changed_files(before, taken({folder.write("a.jsonl", files[0].second + " ")})),
              ElementsAre(path + ": 19 bytes, 18 before"));
}

TEST(Fingerprint, names_the_file_of_a_mixture_a_glob_or_a_saved_data_set) {
  TempFolder folder;
  const auto a = folder.write("a.jsonl", "{\"n\": 1}\n");
  folder.write("p-1.jsonl", "{\"n\": 2}\n");
  const auto second = folder.write("p-2.jsonl", "{\"n\": 3}\n");
  std::filesystem::copy(fixture("selected"), folder.path("selected"));
  const std::vector<std::string> paths{a, folder.path("p-*.jsonl"), folder.path("selected")};
  const auto before = taken(paths);
  EXPECT_EQ(before[1].files.size(), 2u);
  EXPECT_EQ(before[2].files.size(), 3u);  // two shards, and the indices
  folder.write("p-2.jsonl", "{\"n\": 4}\n");
  EXPECT_THAT(changed_files(before, taken(paths)), ElementsAre(HasSubstr(second)));
  folder.write("p-3.jsonl", "{\"n\": 5}\n");
  EXPECT_THAT(changed_files(before, taken(paths)), ElementsAre(HasSubstr("3 files, 2 before")));
  EXPECT_THAT(changed_files(before, taken({a})), ElementsAre("1 sources, 3 before"));
}

TEST(Fingerprint, leaves_sources_out_that_contribute_nothing) {
  TempFolder folder;
  DatasetOptions options;
  for (const double weight : {0.0, 1.0}) {
    SourceConfig config;
    config.path = folder.write("a.jsonl", "{\"n\": 1}\n");
    config.weight = weight;
    options.sources.push_back(config);
  }
  const auto both = fingerprints_of(*Dataset::open(options).take());
  EXPECT_TRUE(both[0].files.empty());
  EXPECT_EQ(both[1].files.size(), 1u);
}

TEST(Fingerprint, ends_early_when_told_to) {
  TempFolder folder;
  DatasetOptions options;
  SourceConfig config;
  config.path = folder.write("a.jsonl", "{\"n\": 1}\n");
  options.sources = {config};
  std::stop_source stop;
  stop.request_stop();
  EXPECT_THAT(fingerprints_of(*Dataset::open(options).take(), stop.get_token()), IsEmpty());
}

TEST(Fingerprint, comes_back_out_of_json) {
  const std::vector<SourceFingerprint> all{
      {"a.jsonl", "media", {{"a.jsonl", 12, "00ff"}, {"b.jsonl", 0, "1"}}}, {"b", "", {}}};
  EXPECT_EQ(fingerprints_from(to_json(all)), all);
  for (const char* text : {"7", "[7]", "[{}]", R"([{"path": 1, "data_folder": "", "files": []}])",
                           R"([{"path": "", "data_folder": "", "files": [{"path": "a"}]}])"}) {
    EXPECT_THROW(fingerprints_from(nlohmann::json::parse(text)), nlohmann::json::exception) << text;
  }
}

}  // namespace
}  // namespace lmms::data
