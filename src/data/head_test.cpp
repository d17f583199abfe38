#include "data/head.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <random>

#include "data/data_testing.h"
#include "data/dataset.h"

namespace lmms::data {
namespace {

using testing::HasSubstr;

SourceConfig source(const std::string& path) {
  SourceConfig config;
  config.path = path;
  return config;
}

/// "NAME:ROW {fields}" of each row, or its fault.
std::vector<std::string> rows_of(SourceHead& head, int64_t most = 1000) {
  std::vector<std::string> rows;
  while (static_cast<int64_t>(rows.size()) < most) {
    auto row = head.next();
    if (!row) break;
    rows.push_back(*row ? fmt::format("{} {}", (*row)->origin.text(), (*row)->fields.dump())
                        : row->fault().text());
  }
  return rows;
}

std::vector<std::string> indexed_rows_of(const std::string& path) {
  auto source = open_source(path, *infer_format(path)).take();
  std::vector<std::string> rows;
  for (int64_t i = 0; i < source->size(); ++i) {
    auto row = source->read(i);
    rows.push_back(row ? fmt::format("{} {}", row->origin.text(), row->fields.dump())
                       : row.fault().text());
  }
  return rows;
}

std::string fault_of(NamedRows& rows, const std::string& name) {
  const auto found = rows.read(name);
  return found ? "" : found.fault().text();
}

int64_t value_of(NamedRows& rows, const std::string& name) {
  auto found = rows.read(name).take();
  return found.record.ok() ? found.record->fields.value("v", int64_t{-1}) : -2;
}

TEST(SourceHead, gives_the_rows_that_the_indexed_reader_gives) {
  const TempFolder folder;
  const std::vector<std::string> paths = {
      folder.write("a.jsonl", "\xEF\xBB\xBF{\"v\": 1}\n\n  \r\n[2]\n{\"v\": nope}\r\n{\"v\": 3}"),
      folder.write("a.json", " [{\"v\": \"a]\\\"\"}, 7, {\"v\": nope} , {\"v\": [1, {}]}]\n"),
      folder.write("none.json", "[]"),
      folder.write("a.csv", "v,w\n\n1,\"two\nlines\"\nonly one\n3,\"\"\"\"\n\n4,5"),
      fixture("file.arrow"),
      fixture("dictionary.arrow"),
      fixture("types.parquet"),
      fixture("saved"),
      fixture("selected"),
      fixture("part-*.parquet"),
  };
  for (const auto& path : paths) {
    auto head = SourceHead::open(source(path)).take();
    EXPECT_EQ(rows_of(head), indexed_rows_of(path)) << path;
  }
}

// Both readers of each format, on texts that are cut, mixed up and overwritten.
TEST(SourceHead, agrees_with_the_indexed_reader_on_damaged_files) {
  const TempFolder folder;
  const std::vector<std::pair<std::string, std::string>> whole = {
      {"a.jsonl", "{\"v\": 1}\n\n{\"v\": \"\xE2\x98\x83\"}\r\n[2]\n{\"v\": {\"w\": []}}"},
      {"a.json", "[{\"v\": \"a]\\\"\"}, 7, {\"v\": [1, {}]}, {\"w\": \"x\\\\\"}]"},
      {"a.csv", "v,w\n1,\"two\nlines\"\n\n3,\"\"\"\"\r\n4,5\n"},
  };
  std::mt19937 random(7);
  constexpr std::string_view kBytes = "\"\\[]{},\n\r\xEF 1v:";
  for (const auto& [name, text] : whole) {
    for (int i = 0; i < 400; ++i) {
      std::string damaged = text;
      for (auto changes = random() % 4; changes > 0; --changes)
        damaged[random() % damaged.size()] = kBytes[random() % kBytes.size()];
      if (random() % 2 == 0) damaged.resize(random() % damaged.size());
      const auto path = folder.write(name, damaged);
      SCOPED_TRACE(testing::PrintToString(damaged));
      const auto indexed = open_source(path, *infer_format(path));
      auto head = SourceHead::open(source(path));
      if (indexed) {
        ASSERT_TRUE(head.ok()) << head.fault().text();
        const auto rows = rows_of(*head);
        ASSERT_EQ(rows, indexed_rows_of(path));
        // Every row is found again under its name.
        NamedRows named({source(path)});
        for (int64_t r = 0; r < (*indexed)->size(); ++r) {
          const auto row = (*indexed)->read(r);
          if (!row) continue;
          const auto found = named.read(row->origin.text());
          ASSERT_TRUE(found.ok()) << found.fault().text();
          ASSERT_EQ(found->record->fields, row->fields);
        }
      } else if (head) {
        // The head of a file that is broken further on: it says so where it gets there.
        EXPECT_THROW(rows_of(*head), Error);
      } else {
        EXPECT_EQ(head.fault().text(), indexed.fault().text());
      }
    }
  }
}

TEST(SourceHead, goes_from_file_to_file_and_opens_none_before_it_is_needed) {
  const TempFolder folder;
  folder.write("part-1.json", "[{\"v\": 1}]");
  folder.write("part-2.json", "[{\"v\": 2}]");
  folder.write("part-3.json", "no list");
  auto head = SourceHead::open(source(folder.path("part-*.json"))).take();
  EXPECT_EQ(head.files().size(), 3u);
  EXPECT_EQ(rows_of(head, 2).size(), 2u);
  try {
    head.next();
    FAIL() << "the third file is no list";
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("part-3.json: expected a JSON list"));
  }
}

TEST(SourceHead, hands_the_data_folder_to_its_rows) {
  const TempFolder folder;
  auto config = source(folder.write("a.jsonl", "{\"v\": 1}\n"));
  config.data_folder = "media";
  auto head = SourceHead::open(config).take();
  EXPECT_EQ(*(*head.next())->data_folder, "media");
}

// The promise behind "answers within a second for a JSONL of any size": what follows the rows that
// were asked for is not looked at. The hole of this file would take hours to scan.
TEST(SourceHead, looks_at_nothing_behind_the_rows_it_gave) {
  const TempFolder folder;
  const auto path = folder.write("a.jsonl", "{\"v\": 1}\n{\"v\": 2}\n{\"v\": 3}\n");
  std::error_code error;
  std::filesystem::resize_file(path, uintmax_t{4} << 40, error);
  if (error) std::filesystem::resize_file(path, uintmax_t{1} << 30);
  auto head = SourceHead::open(source(path)).take();
  EXPECT_EQ(rows_of(head, 2).size(), 2u);
  EXPECT_EQ(head.bytes_passed(), 18);
  EXPECT_GE(head.total_bytes(), int64_t{1} << 30);

  auto list = folder.write("a.json", "[{\"v\": 1}, {\"v\": 2}, broken");
  auto json = SourceHead::open(source(list)).take();
  EXPECT_EQ(rows_of(json, 1).size(), 1u);
  EXPECT_EQ(json.bytes_passed(), 10);

  auto table = folder.write("a.csv", "v\n1\n2\n\"never closed");
  auto csv = SourceHead::open(source(table)).take();
  EXPECT_EQ(rows_of(csv, 1).size(), 1u);
  EXPECT_EQ(csv.bytes_passed(), 4);
}

TEST(SourceHead, says_what_does_not_open) {
  const TempFolder folder;
  const auto fault = [](const std::string& path) {
    const auto head = SourceHead::open(source(path));
    return head ? "" : head.fault().text();
  };
  EXPECT_THAT(fault(folder.path("none.jsonl")), HasSubstr("none.jsonl: no such file or folder"));
  EXPECT_THAT(fault(folder.path("*.jsonl")), HasSubstr("no file matches"));
  EXPECT_THAT(fault(folder.write("a.txt", "x")), HasSubstr("its suffix tells no data type"));
  EXPECT_THAT(fault(folder.write("a.json", "{}")), HasSubstr("expected a JSON list"));
  EXPECT_THAT(fault(folder.write("a.csv", "")), HasSubstr("expected a header row"));
  EXPECT_THAT(fault(folder.write("a.arrow", "ARROW1 but cut")), HasSubstr("a.arrow"));
  EXPECT_THAT(fault(folder.write("a.parquet", "PAR1")), HasSubstr("not readable as Parquet"));
}

TEST(NamedRows, finds_the_row_that_an_error_named) {
  const TempFolder folder;
  std::string lines;
  for (int i = 1; i <= 100; ++i) lines += fmt::format("{{\"v\": {}}}\n", i);
  const auto jsonl = folder.write("chats.jsonl", lines);
  const auto json = folder.write("list.json", "[{\"v\": 1}, {\"v\": 2}, {\"v\": 3}]");
  const auto csv = folder.write("table.csv", "v,w\n\"1\",\"two\nlines\"\n2,x");
  NamedRows rows({source(jsonl), source(json), source(csv)});
  EXPECT_EQ(value_of(rows, jsonl + ":77"), 77);
  EXPECT_EQ(value_of(rows, jsonl + ":5"), 5);  // back again
  EXPECT_EQ(value_of(rows, "chats.jsonl:100"), 100);
  EXPECT_EQ(value_of(rows, "1:1"), 1);
  EXPECT_EQ(value_of(rows, "2:3"), 3);
  EXPECT_EQ(value_of(rows, "list.json:2"), 2);
  EXPECT_EQ(rows.read("table.csv:3").take().record->origin.row, 2);  // the second line of row 2
  EXPECT_EQ(rows.read("3:4").take().record->fields["w"], "x");
  EXPECT_EQ(rows.read("3:4").take().source, 2);
}

TEST(NamedRows, takes_a_bare_number_where_there_is_one_file) {
  const TempFolder folder;
  NamedRows one({source(folder.write("a.jsonl", "{\"v\": 1}\n{\"v\": 2}\n"))});
  EXPECT_EQ(value_of(one, "2"), 2);
  folder.write("b.jsonl", "{\"v\": 1}\n");
  NamedRows several({source(folder.path("*.jsonl"))});
  EXPECT_THAT(fault_of(several, "2"), HasSubstr("has 2 files\n    fix: name the file: "));
  EXPECT_EQ(value_of(several, "b.jsonl:1"), 1);
  NamedRows two({source(folder.path("a.jsonl")), source(folder.path("b.jsonl"))});
  EXPECT_THAT(fault_of(two, "2"), HasSubstr("the row of which of 2 sources?"));
}

TEST(NamedRows, finds_rows_of_parquet_and_of_a_saved_shard) {
  NamedRows parquet({source(fixture("part-*.parquet"))});
  auto found = parquet.read("part-1.parquet:1").take();
  EXPECT_THAT(found.record->origin.text(), HasSubstr("part-1.parquet:1"));
  NamedRows saved({source(fixture("saved"))});
  const auto shard = fixture("saved/data-00001-of-00002.arrow");
  EXPECT_EQ(saved.read(shard + ":1").take().record->origin.text(), shard + ":1");
  EXPECT_TRUE(saved.read("1:1").ok());
  EXPECT_THAT(fault_of(saved, "1:1000000"), HasSubstr("no such row: there are "));
}

TEST(NamedRows, gives_a_broken_row_as_what_it_is) {
  const TempFolder folder;
  NamedRows rows({source(folder.write("a.jsonl", "{\"v\": 1}\n{\"v\": \n"))});
  const auto found = rows.read("2").take();
  ASSERT_FALSE(found.record.ok());
  EXPECT_THAT(found.record.fault().text(), HasSubstr("a.jsonl:2: not valid JSON"));
}

TEST(NamedRows, says_why_there_is_no_such_row) {
  const TempFolder folder;
  folder.write("a.jsonl", "{\"v\": 1}\n\n{\"v\": 3}\n");
  std::filesystem::create_directory(folder.path("sub"));
  folder.write("sub/a.jsonl", "{\"v\": 1}\n");
  const auto csv = folder.write("t.csv", "v\n\n1\n");
  const auto json = folder.write("l.json", "[{\"v\": 1}]");
  NamedRows rows({source(folder.path("a.jsonl")), source(folder.path("sub/a.jsonl")), source(csv),
                  source(json)});
  const auto a = folder.path("a.jsonl");
  EXPECT_THAT(fault_of(rows, a + ":2"),
              HasSubstr("the line is blank\n    fix: the next row is on line 3"));
  EXPECT_THAT(fault_of(rows, a + ":4"), HasSubstr("the file ends before this line"));
  EXPECT_THAT(fault_of(rows, "a.jsonl:1"), HasSubstr("'a.jsonl' fits 2 files"));
  EXPECT_THAT(fault_of(rows, "b.jsonl:1"), HasSubstr("no source reads 'b.jsonl'"));
  EXPECT_THAT(fault_of(rows, "9:1"), HasSubstr("there is no source 9: there are 4"));
  EXPECT_THAT(fault_of(rows, "3:1"), HasSubstr("this line is the header"));
  EXPECT_THAT(fault_of(rows, "3:2"), HasSubstr("the line is blank"));
  EXPECT_THAT(fault_of(rows, "3:4"), HasSubstr("the file ends before this line"));
  EXPECT_THAT(fault_of(rows, "4:2"), HasSubstr("the list has 1 elements"));
  for (const char* name : {"", ":", "1:", ":1", "1:0", "1:-1", "1:x", "a.jsonl",
                           "1:99999999999999999999", "1: 1", "1:1 "}) {
    EXPECT_THAT(fault_of(rows, name), HasSubstr("names no row")) << name;
  }
}

}  // namespace
}  // namespace lmms::data
