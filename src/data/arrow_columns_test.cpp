// Chats beside columns of types that no chat has, and chats in types that few data sets have
// (tests/fixtures/make_data.py).
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <thread>

#include "data/conversation.h"
#include "data/data_testing.h"
#include "data/head.h"
#include "data/sample_reader.h"
#include "data/unreadable.h"

namespace lmms::data {
namespace {

using testing::Eq;
using testing::HasSubstr;
using testing::Optional;

std::unique_ptr<RecordSource> open(const std::string& name, const SourceLimits& limits = {}) {
  const auto path = fixture(name);
  auto source = open_source(path, *infer_format(path), limits);
  EXPECT_TRUE(source) << source.fault().text();
  return source ? *std::move(source) : nullptr;
}

Json fields(const std::string& name, int64_t row, const SourceLimits& limits = {}) {
  return open(name, limits)->read(row).take().fields;
}

/// "user: question 3 | assistant: answer 3"
std::string chat_of(const Record& record) {
  std::string text;
  for (const auto& message : conversation_of(record).take().messages)
    text += (text.empty() ? "" : " | ") + message.role + ": " + message.parts.front().text;
  return text;
}

constexpr auto kLong = "a text of more than twelve bytes, and \u00e4";

class FileOfFooters : public testing::TestWithParam<const char*> {};

TEST_P(FileOfFooters, gives_its_rows_in_any_order) {
  const auto source = open(GetParam());
  ASSERT_EQ(source->size(), 10);
  for (const int64_t row : {9, 0, 4, 3, 8, 7, 0}) {
    const auto record = source->read(row).take();
    EXPECT_EQ(record.fields["id"], std::to_string(row));
    EXPECT_EQ(chat_of(record), fmt::format("user: question {0} | assistant: answer {0}", row));
  }
}

TEST_P(FileOfFooters, gives_its_rows_to_many_threads) {
  const auto path = fixture(GetParam());
  const auto source =
      open_source(path, Format::arrow, {.memory_bytes = 1, .spill_folder = ""}).take();
  std::vector<std::jthread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (int64_t i = 0; i < 40; ++i) {
        const int64_t row = (i * 7 + t) % 10;
        EXPECT_EQ(source->read(row).take().fields["id"], std::to_string(row));
      }
    });
  }
}

TEST_P(FileOfFooters, is_previewed) {
  SourceConfig config;
  config.path = fixture(GetParam());
  auto head = SourceHead::open(config).take();
  for (int64_t row = 0; row < 10; ++row)
    EXPECT_EQ((**head.next()).fields["id"], std::to_string(row));
  EXPECT_FALSE(head.next());
}

INSTANTIATE_TEST_SUITE_P(Writers, FileOfFooters,
                         testing::Values("polars.arrow", "polars_zstd.arrow", "feather.arrow"),
                         [](const auto& each) {
                           const std::string_view name = each.param;
                           return std::string(name.substr(0, name.find('.')));
                         });

TEST(ArrowColumns, of_polars_are_read_beside_the_chat) {
  const auto row = fields("polars.arrow", 4);
  EXPECT_EQ(row["price"], 1.5);
  EXPECT_EQ(row["kind"], "a");
  EXPECT_EQ(row["took"], 1000000);
  EXPECT_EQ(row["raw"].get_binary(), std::vector<uint8_t>(20, 255));
  EXPECT_FALSE(fields("polars.arrow", 9).contains("price"));
  EXPECT_EQ(fields("feather.arrow", 5)["role"], "system");
}

TEST(ArrowColumns, of_bytes_are_text_where_chats_have_text) {
  const auto record = open("bytes.arrow")->read(0).take();
  EXPECT_EQ(chat_of(record), fmt::format("user: q | assistant: {}", kLong));
  EXPECT_TRUE(record.fields["raw"].is_binary());
}

class ColumnsOfEveryType : public testing::TestWithParam<const char*> {};

TEST_P(ColumnsOfEveryType, leave_the_chat_readable) {
  const auto source = open(GetParam());
  ASSERT_EQ(source->size(), 2);
  EXPECT_EQ(chat_of(source->read(0).take()), fmt::format("user: q | assistant: {}", kLong));
  EXPECT_EQ(chat_of(source->read(1).take()), "user: q");
}

TEST_P(ColumnsOfEveryType, have_values_where_json_has_a_form_for_them) {
  const auto first = fields(GetParam(), 0), second = fields(GetParam(), 1);
  EXPECT_EQ(first["messages"][1]["score"], 1.5);
  EXPECT_FALSE(first["messages"][0].contains("score"));
  EXPECT_EQ(first["string_view"], kLong);
  EXPECT_EQ(first["binary_view"].get_binary(), (std::vector<uint8_t>{0, 255}));
  EXPECT_EQ(second["binary_view"].get_binary(), std::vector<uint8_t>(20, 254));
  EXPECT_EQ(first["decimal32"], 1.5);
  EXPECT_EQ(first["decimal64"].get<int64_t>(), 7);
  EXPECT_EQ(first["decimal128"], -0.25);
  EXPECT_EQ(first["decimal256"], 1e40);
  EXPECT_EQ(first["numbers"].dump(), R"({"1":"one"})");
  EXPECT_EQ(first["duration"], 5);
  EXPECT_EQ(first["uuid"].get_binary().size(), 16u);
  EXPECT_EQ(first["not_utf8"], "a");
  EXPECT_THAT(why_unreadable(second["not_utf8"]), Optional(Eq("not valid UTF-8")));
  for (const auto& row : {first, second}) EXPECT_FALSE(row.contains("nan"));  // nor an infinity
  for (const char* key :
       {"string_view", "decimal32", "decimal128", "decimal256", "duration", "uuid"})
    EXPECT_FALSE(second.contains(key)) << key;
}

INSTANTIATE_TEST_SUITE_P(Files, ColumnsOfEveryType,
                         testing::Values("columns.arrow", "columns_stream.arrow",
                                         "columns.parquet"),
                         [](const auto& each) {
                           std::string name = each.param;
                           std::replace(name.begin(), name.end(), '.', '_');
                           return name;
                         });

TEST(ArrowColumns, that_json_has_no_form_for_say_why) {
  const auto first = fields("columns.arrow", 0), second = fields("columns.arrow", 1);
  EXPECT_EQ(first["list_view"].dump(), "[1,2]");
  EXPECT_EQ(second["list_view"].dump(), "[]");
  EXPECT_EQ(first["runs"], "once");
  EXPECT_FALSE(second.contains("runs"));
  EXPECT_THAT(why_unreadable(first["interval"]), Optional(HasSubstr("month_day_nano_interval")));
  EXPECT_FALSE(second.contains("interval"));
  EXPECT_TRUE(why_unreadable(first["struct"]["gap"]));
  EXPECT_EQ(second["struct"].dump(), R"({"name":"y"})");
  EXPECT_THAT(why_unreadable(first["dense"]), Optional(HasSubstr("dense_union")));
  EXPECT_THAT(why_unreadable(second["sparse"]), Optional(HasSubstr("sparse_union")));
  EXPECT_THAT(why_unreadable(first["pairs"]), Optional(HasSubstr("map")));
  EXPECT_EQ(second["pairs"].dump(), "{}");
}

TEST(ParquetColumns, are_the_same_out_of_a_file_of_decoded_rows) {
  TempFolder folder;
  const SourceLimits limits{.memory_bytes = 1, .spill_folder = folder.path("")};
  for (const int64_t row : {0, 1})
    EXPECT_EQ(fields("columns.parquet", row, limits), fields("columns.parquet", row));
}

/// Trains the text of one column.
class ColumnProcessor final : public Processor {
 public:
  explicit ColumnProcessor(const char* key) : key_(key) {}
  Result<Measured> measure(const Record& record) const override {
    Record one = record;
    one.fields["text"] = record.fields.at(key_);
    auto text = plain_text_of(one);
    if (!text) return Fault{text.fault().where, fmt::format("{}: not text", key_), ""};
    Measured measured;
    measured.length = measured.supervised = static_cast<int64_t>(text->size());
    return measured;
  }
  Result<Sample> process(const Record&) const override { return Sample{}; }
  Result<Sample> prompt(const Conversation&) const override { return Sample{}; }

 private:
  const char* key_;
};

TEST(UnreadableValue, makes_a_record_bad_only_where_it_is_needed) {
  const auto source = open("columns.arrow");
  const auto outcome_of = [&](const char* key) {
    return SampleFactory(std::make_shared<ColumnProcessor>(key), {}, {})
        .measure(source->read(1).take(), 0);
  };
  EXPECT_TRUE(outcome_of("binary_view").fatal);  // bytes are no text
  const Outcome bad = outcome_of("not_utf8");
  EXPECT_TRUE(bad.fatal);
  EXPECT_EQ(bad.fault.what, "not_utf8: not text; not_utf8: not valid UTF-8");
  EXPECT_EQ(bad.fault.where, fixture("columns.arrow") + ":2");
}

TEST(UnreadableValue, is_no_text_number_or_null_and_names_its_place) {
  const nlohmann::json fields = {{"messages", {{{"content", unreadable_value("broken")}}}},
                                 {"other", unreadable_value("elsewhere")}};
  const auto& value = fields["messages"][0]["content"];
  EXPECT_FALSE(value.is_null() || value.is_string() || value.is_number() || value.is_structured());
  EXPECT_NO_THROW(fields.dump());
  EXPECT_EQ(
      with_reasons({"a.parquet:1", "messages[0].content: expected a string", ""}, fields).what,
      "messages[0].content: expected a string; messages[0].content: broken");
  EXPECT_FALSE(why_unreadable(nlohmann::json::binary({1, 2})));
  EXPECT_FALSE(why_unreadable("broken"));
}

TEST(ArrowColumns, survive_changed_bytes_anywhere) {
  TempFolder folder;
  std::mt19937 random(5);
  for (const char* name : {"columns.arrow", "columns_stream.arrow", "columns.parquet",
                           "polars.arrow", "polars_zstd.arrow", "feather.arrow"}) {
    const auto whole = file_text(fixture(name));
    for (int round = 0; round < 150; ++round) {
      auto damaged = whole;
      for (int i = 0; i <= round % 4; ++i)
        damaged[random() % damaged.size()] = static_cast<char>(random());
      const auto source = open_source(folder.write(name, damaged), *infer_format(name));
      if (!source) continue;
      for (int64_t row = 0; row < std::min<int64_t>((*source)->size(), 50); ++row) {
        const auto record = (*source)->read(row);
        if (record) {
          EXPECT_NO_THROW(record->fields.dump());
        }
      }
    }
  }
}

TEST(ArrowSource, refuses_feather_of_version_1_by_name) {
  TempFolder folder;
  const auto source = open_source(folder.write("a.arrow", "FEA1 and more FEA1"), Format::arrow);
  EXPECT_THAT(source.fault().text(), HasSubstr("Feather file of version 1"));
}

}  // namespace
}  // namespace lmms::data
