// Arrow and Parquet files as the libraries of users write them (tests/fixtures/make_data.py).
#include <gtest/gtest.h>

#include <random>
#include <thread>

#include "data/data_testing.h"

namespace lmms::data {
namespace {

std::unique_ptr<RecordSource> open(const std::string& path, Format format,
                                   const SourceLimits& limits = {}) {
  auto source = open_source(path, format, limits);
  EXPECT_TRUE(source) << source.fault().text();
  return source ? *std::move(source) : nullptr;
}

std::string open_fault(const std::string& path, Format format) {
  auto source = open_source(path, format);
  return source ? "opened" : source.fault().text();
}

/// Row i holds the chat number first + i.
void expect_chats(const RecordSource& source, int64_t first, int64_t count) {
  ASSERT_EQ(source.size(), count);
  for (int64_t i = 0; i < count; ++i) {
    const auto fields = source.read(i).take().fields;
    const int64_t n = first + i;
    EXPECT_EQ(fields["id"], std::to_string(n));
    EXPECT_EQ(fields["messages"][0].dump(),
              fmt::format(R"({{"role":"user","content":"question {}"}})", n));
    EXPECT_EQ(fields["messages"][1].contains("name"), n % 2 == 1);
    EXPECT_EQ(fields.contains("score"), n % 3 != 0);
  }
}

TEST(ArrowSource, reads_a_saved_data_set_of_several_shards) {
  const auto source = open(fixture("saved"), Format::arrow);
  expect_chats(*source, 0, 7);
  EXPECT_EQ(source->read(6).take().origin.text(),
            fixture("saved/data-00001-of-00002.arrow") + ":3");
}

TEST(ArrowSource, takes_the_split_train_of_a_saved_dict) {
  expect_chats(*open(fixture("splits"), Format::arrow), 0, 7);
  expect_chats(*open(fixture("splits/test"), Format::arrow), 0, 2);
}

TEST(ArrowSource, follows_the_indices_of_a_saved_selection) {
  const auto source = open(fixture("selected"), Format::arrow);
  ASSERT_EQ(source->size(), 3);
  EXPECT_EQ(source->read(0).take().fields["id"], "6");
  EXPECT_EQ(source->read(1).take().fields["id"], "0");
  EXPECT_EQ(source->read(2).take().fields["id"], "3");
}

TEST(ArrowSource, reads_files_streams_and_compressed_batches) {
  expect_chats(*open(fixture("file.arrow"), Format::arrow), 0, 10);
  expect_chats(*open(fixture("compressed.arrow"), Format::arrow), 0, 10);
  expect_chats(*open(fixture("saved/data-00000-of-00002.arrow"), Format::arrow), 0, 4);
}

TEST(ArrowSource, reads_compressed_batches_again_when_memory_is_short) {
  const auto source =
      open(fixture("compressed.arrow"), Format::arrow, {.memory_bytes = 1, .spill_folder = ""});
  for (int64_t i : {0, 9, 0, 5, 9, 1}) {
    EXPECT_EQ(source->read(i).take().fields["id"], std::to_string(i));
  }
}

TEST(ArrowSource, reads_columns_of_dictionary_codes) {
  const auto source = open(fixture("dictionary.arrow"), Format::arrow);
  ASSERT_EQ(source->size(), 6);
  EXPECT_EQ(source->read(4).take().fields.dump(), R"({"text":"text 4","label":"b"})");
  EXPECT_EQ(source->read(3).take().fields.dump(), R"({"text":"text 3"})");
}

void expect_types(const RecordSource& source) {
  const auto first = source.read(0).take().fields, second = source.read(1).take().fields;
  EXPECT_EQ(first["flag"], true);
  EXPECT_EQ(first["small"], -1);
  EXPECT_EQ(first["big"], 18446744073709551615u);
  EXPECT_EQ(first["half"], 1.5);
  EXPECT_EQ(second["real"], -4.0);
  EXPECT_EQ(first["bytes"].get_binary(), (std::vector<uint8_t>{0, 255}));
  EXPECT_TRUE(second["bytes"].get_binary().empty());
  EXPECT_EQ(second["text"], "\xF0\x9F\x98\x80");
  EXPECT_EQ(first["list"].dump(), "[1,2]");
  EXPECT_EQ(second["list"].dump(), "[]");
  EXPECT_EQ(second["fixed"].dump(), "[3,4]");
  EXPECT_EQ(first["nested"].dump(), R"({"a":[{"c":"x"}]})");
  EXPECT_FALSE(second.contains("nested") || second.contains("flag") || second.contains("half"));
}

TEST(ArrowSource, reads_every_type_of_column_that_data_sets_have) {
  const auto source = open(fixture("types.arrow"), Format::arrow);
  expect_types(*source);
  EXPECT_EQ(source->read(0).take().fields["map"].dump(), R"({"k":1})");
}

TEST(ParquetSource, reads_row_groups_of_several_files_in_the_order_of_a_glob) {
  const auto source = open(fixture("part-*.parquet"), Format::parquet);
  expect_chats(*source, 0, 15);
  EXPECT_EQ(source->read(12).take().origin.text(), fixture("part-1.parquet") + ":3");
  expect_types(*open(fixture("types.parquet"), Format::parquet));
}

TEST(ParquetSource, puts_decoded_rows_into_files_when_memory_is_short) {
  TempFolder folder;
  const auto source = open(fixture("part-*.parquet"), Format::parquet,
                           {.memory_bytes = 1, .spill_folder = folder.path("")});
  expect_chats(*source, 0, 15);
  EXPECT_TRUE(std::filesystem::is_empty(folder.path("")));  // they have no name any more
}

TEST(ParquetSource, says_so_when_decoded_rows_fit_nowhere) {
  const auto source = open(fixture("part-0.parquet"), Format::parquet,
                           {.memory_bytes = 1, .spill_folder = "/nowhere"});
  EXPECT_NE(source->read(0).fault().text().find("no temporary file in /nowhere"),
            std::string::npos);
}

TEST(ParquetSource, holds_no_file_open) {
  TempFolder folder;
  const auto text = file_text(fixture("json_text.parquet"));
  const auto arrow = file_text(fixture("file.arrow"));
  const auto count = [] {
    return std::distance(std::filesystem::directory_iterator("/proc/self/fd"), {});
  };
  for (int i = 0; i < 20; ++i) folder.write(fmt::format("{}.parquet", i), text);
  for (int i = 0; i < 20; ++i) folder.write(fmt::format("{}.arrow", i), arrow);
  const auto before = count();
  const auto parquet =
      open(folder.path("*.parquet"), Format::parquet, {.memory_bytes = 1, .spill_folder = ""});
  const auto files = open(folder.path("*.arrow"), Format::arrow);
  for (int64_t row = 0; row < 60; ++row) EXPECT_TRUE(parquet->read(row));
  EXPECT_TRUE(files->read(199));
  EXPECT_EQ(count(), before);
}

TEST(ParquetSource, gives_the_same_rows_to_many_threads) {
  const auto source = open(fixture("part-*.parquet"), Format::parquet);
  const auto arrow =
      open(fixture("compressed.arrow"), Format::arrow, {.memory_bytes = 1, .spill_folder = ""});
  std::vector<std::jthread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (int64_t i = 0; i < 60; ++i) {
        const int64_t row = (i * 7 + t) % 10;
        EXPECT_EQ(source->read(row).take().fields["id"], std::to_string(row));
        EXPECT_EQ(arrow->read(row).take().fields["id"], std::to_string(row));
      }
    });
  }
}

TEST(ArrowSource, refuses_folders_and_files_that_are_something_else) {
  TempFolder folder;
  EXPECT_NE(open_fault(folder.path(""), Format::arrow).find("save_to_disk"), std::string::npos);
  EXPECT_NE(open_fault(folder.write("a.arrow", ""), Format::arrow).find("cut off"),
            std::string::npos);
  EXPECT_NE(open_fault(fixture("part-0.parquet"), Format::arrow), "opened");
  EXPECT_NE(open_fault(fixture("file.arrow"), Format::parquet).find("Parquet"), std::string::npos);
  EXPECT_NE(open_fault(folder.write("a.parquet", ""), Format::parquet), "opened");
  std::filesystem::create_directory(folder.path("saved"));
  folder.write("saved/state.json", "[]");
  EXPECT_NE(open_fault(folder.path("saved"), Format::arrow).find("expected a JSON object"),
            std::string::npos);
  folder.write("saved/state.json", R"({"_data_files": [{"filename": "gone.arrow"}]})");
  EXPECT_NE(open_fault(folder.path("saved"), Format::arrow).find("gone.arrow"), std::string::npos);
}

/// Reads all that a damaged file still gives; it may be refused at any point, nothing else.
void read_all(const std::string& path, Format format) {
  auto source = open_source(path, format);
  if (!source) return;
  for (int64_t row = 0; row < std::min<int64_t>((*source)->size(), 100); ++row) {
    auto record = (*source)->read(row);
    if (!record) continue;
    EXPECT_NO_THROW(record->fields.dump());
  }
}

TEST(ArrowSource, refuses_a_file_cut_off_anywhere) {
  TempFolder folder;
  for (const char* name : {"saved/data-00000-of-00002.arrow", "file.arrow", "part-0.parquet"}) {
    const auto whole = file_text(fixture(name));
    const auto format = std::string_view(name).ends_with("arrow") ? Format::arrow : Format::parquet;
    for (size_t size = 0; size < whole.size(); size += 1 + size / 64) {
      const auto path = folder.write("cut", std::string_view(whole).substr(0, size));
      EXPECT_NE(open_fault(path, format), "opened") << name << " cut to " << size;
    }
  }
}

TEST(ArrowSource, survives_changed_bytes_anywhere) {
  TempFolder folder;
  std::mt19937 random(11);
  for (const char* name : {"saved/data-00000-of-00002.arrow", "compressed.arrow",
                           "dictionary.arrow", "types.arrow", "part-0.parquet", "types.parquet"}) {
    const auto whole = file_text(fixture(name));
    const auto format = std::string_view(name).ends_with("arrow") ? Format::arrow : Format::parquet;
    for (int round = 0; round < 150; ++round) {
      auto damaged = whole;
      for (int i = 0; i <= round % 4; ++i) {
        damaged[random() % damaged.size()] = static_cast<char>(random());
      }
      read_all(folder.write("damaged", damaged), format);
    }
  }
}

}  // namespace
}  // namespace lmms::data
