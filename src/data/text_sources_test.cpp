// json, jsonl and csv files: what is read, and what broken ones say.
#include <gtest/gtest.h>

#include <random>

#include "data/data_testing.h"
#include "data/json_text.h"
#include "data/line_index.h"
#include "data/python_json.h"
#include "data/unreadable.h"

namespace lmms::data {
namespace {

std::unique_ptr<RecordSource> open(const std::string& path, Format format) {
  auto source = open_source(path, format);
  EXPECT_TRUE(source) << source.fault().text();
  return source ? *std::move(source) : nullptr;
}

std::string open_fault(const std::string& path, Format format) {
  auto source = open_source(path, format);
  return source ? "opened" : source.fault().text();
}

std::string read_fault(const RecordSource& source, int64_t row) {
  auto record = source.read(row);
  return record ? "read: " + record->fields.dump() : record.fault().text();
}

TEST(JsonText, keeps_nulls_and_the_order_of_members) {
  const auto value =
      parse_json(R"({"a": null, "b": {"c": null, "d": [null, {"e": null}]}})").take();
  EXPECT_EQ(value.dump(), R"({"a":null,"b":{"c":null,"d":[null,{"e":null}]}})");
}

TEST(JsonText, keeps_the_types_of_numbers) {
  const auto value = parse_json("[-1, 18446744073709551615, 0.5, true]").take();
  EXPECT_EQ(value[0].get<int64_t>(), -1);
  EXPECT_EQ(value[1].get<uint64_t>(), 18446744073709551615u);
  EXPECT_EQ(value[2].get<double>(), 0.5);
  EXPECT_TRUE(value[3].get<bool>());
}

TEST(JsonText, reads_integers_beyond_64_bits_as_doubles) {
  const auto value = parse_json(R"({"n": 123456789012345678901234567890, "x": null})").take();
  EXPECT_DOUBLE_EQ(value["n"].get<double>(), 123456789012345678901234567890.0);
  EXPECT_EQ(find_member(value, "x"), nullptr);
}

TEST(JsonText, takes_the_last_of_duplicate_keys) {
  EXPECT_EQ(parse_json(R"({"a": 1, "a": 2})").take().dump(), R"({"a":2})");
  EXPECT_EQ(parse_json(R"({"a": 1, "a": null})").take().dump(), R"({"a":null})");
}

TEST(JsonText, says_where_and_why_text_is_broken) {
  EXPECT_NE(parse_json(R"({"a": tru})").fault().what.find("column"), std::string::npos);
  EXPECT_NE(parse_json("{\"a\": \"\xC3\"}").fault().what.find("UTF-8"), std::string::npos);
  EXPECT_NE(parse_json(std::string(2000, '[') + std::string(2000, ']')).fault().what.find("deep"),
            std::string::npos);
  EXPECT_NE(parse_json(std::string(5000, '[') + "123456789012345678901234567890").fault().what, "");
  EXPECT_FALSE(parse_json(""));
}

TEST(JsonText, reads_what_is_no_number_as_null) {
  for (const char* text : {"NaN", "Infinity", "-Infinity", "1e400", "-1e400"}) {
    const auto value = parse_json(fmt::format(
        R"({{"a": {0}, "b": [{0}, 1, {0}], "c": {{"d": {0}, "e":{0}}}, "f": "NaN, Infinity"}})",
        text));
    ASSERT_TRUE(value) << value.fault().text();
    EXPECT_EQ(value->dump(),
              R"({"a":null,"b":[null,1,null],"c":{"d":null,"e":null},"f":"NaN, Infinity"})")
        << text;
  }
  EXPECT_TRUE(parse_json(" NaN ").take().is_null());
  EXPECT_EQ(parse_json(R"({"a": 1, "a": NaN})").take().dump(), R"({"a":null})");
  // beyond 64 bits, and below the doubles
  const auto wide =
      parse_json("[" + std::string(400, '9') + ", 1e-400, 12345678901234567890123]").take();
  EXPECT_TRUE(wide[0].is_null());
  EXPECT_EQ(wide[1], 0.0);
  EXPECT_EQ(wide[2], 12345678901234567890123.0);
}

TEST(JsonText, refuses_what_python_refuses) {
  for (const char* text :
       {"nan",         "inf",        "+Infinity",    "-NaN",  "Na",     "NaN1",
        "-",           "01",         "1.",           ".5",    "1e",     "[1,]",
        "{\"a\": 1,}", "{a: 1}",     "'a'",          "[1 2]", "\"\t\"", "\"\\x\"",
        "\"\\u12g4\"", "\"\\u123\"", "\"a",          "[",     "{\"a\"", "{\"a\":",
        "tru",         "1 2",        "\xEF\xBB\xBF", "[NaN",  "[NaN}",  "// no\n1"}) {
    const auto value = parse_json(text);
    ASSERT_FALSE(value) << text;
    EXPECT_NE(value.fault().what.find("not valid JSON: line 1, column "), std::string::npos)
        << value.fault().what;
  }
  EXPECT_NE(
      parse_json("{\"a\":\n  NaN,\n  b}").fault().what.find("line 3, column 3: expected a key"),
      std::string::npos);
}

TEST(JsonText, keeps_a_text_out_that_has_half_a_pair_of_surrogates) {
  const auto value =
      parse_json(
          R"({"a": "x\ud800y", "b": ["\udc00", "\ud83d\ude00", "\ud83d\ud83d\ude00"], "\udfff": 1})")
          .take();
  EXPECT_NE(why_unreadable(value["a"])->find("\\ud800"), std::string::npos);
  EXPECT_TRUE(why_unreadable(value["b"][0]));
  EXPECT_EQ(value["b"][1], "\xF0\x9F\x98\x80");
  EXPECT_TRUE(why_unreadable(value["b"][2]));
  EXPECT_EQ(value["\xEF\xBF\xBD"], 1);
}

TEST(JsonText, both_parsers_read_the_same) {
  const std::string texts[] = {
      R"({"a": [0, -0, -1, 1.5, -2e3, 1E+2, 9223372036854775807, -9223372036854775808, 18446744073709551615]})",
      R"([true, false, null, {}, [], "", {"k": {"k": null}}])",
      R"(["\"\\\/\b\f\n\r\t", "\u0000\u0041\u00e4\u20ac\ud83d\ude00", "\u00E4", "plain ä €"])",
      " \r\n\t[ 1 , 2 ] \n"};
  for (const auto& text : texts) {
    EXPECT_EQ(parse_python_json(text, 100).take().dump(), parse_json(text).take().dump());
    // every cut of it is refused
    for (size_t size = 0; size + 3 < text.size(); ++size)
      EXPECT_FALSE(parse_python_json(std::string_view(text).substr(0, size), 100)) << size;
  }
  EXPECT_TRUE(parse_python_json("[[[NaN]]]", 3));
  EXPECT_FALSE(parse_python_json("[[[[NaN]]]]", 3));
}

TEST(JsonText, keeps_its_message_short_and_valid_when_a_long_string_is_cut) {
  std::string text = "\"";
  for (int i = 0; i < 10000; ++i) text += "\xC3\xA4";
  const auto what = parse_json(text).fault().what;
  EXPECT_LT(what.size(), 400u);
  EXPECT_NO_THROW(nlohmann::json(what).dump());
}

TEST(LineIndex, finds_the_same_lines_for_every_chunk_size) {
  std::string text = "\n  \nfirst\r\n\n";
  for (int i = 0; i < 100; ++i) text += "line " + std::to_string(i) + (i % 7 ? "\n" : "\n \t\n");
  text += "last";
  const LineIndex whole(text);
  ASSERT_EQ(whole.size(), 102);
  EXPECT_EQ(whole.line(0).text, "first\r");
  EXPECT_EQ(whole.line(0).number, 3);
  EXPECT_EQ(whole.line(1).number, 5);
  EXPECT_EQ(whole.line(101).text, "last");
  for (const size_t chunk : {size_t{1}, size_t{3}, size_t{10}, size_t{100}}) {
    const LineIndex cut(text, 3, chunk);
    ASSERT_EQ(cut.size(), whole.size());
    for (int64_t i = 0; i < whole.size(); ++i) {
      EXPECT_EQ(cut.line(i).text, whole.line(i).text);
      EXPECT_EQ(cut.line(i).number, whole.line(i).number);
    }
  }
  EXPECT_EQ(LineIndex("").size(), 0);
  EXPECT_EQ(LineIndex("\n \n").size(), 0);
}

TEST(JsonlSource, counts_lines_as_editors_do_and_passes_over_blank_ones) {
  TempFolder folder;
  const auto path =
      folder.write("a.jsonl", "\xEF\xBB\xBF{\"n\": 1}\n\n  \r\n{\"n\": 2}\r\n{\"n\": 3}");
  const auto source = open(path, Format::jsonl);
  ASSERT_EQ(source->size(), 3);
  const auto record = source->read(1).take();
  EXPECT_EQ(record.fields["n"], 2);
  EXPECT_EQ(record.origin.text(), path + ":4");
  EXPECT_EQ(source->read(2).take().fields["n"], 3);
}

TEST(JsonlSource, names_file_and_line_of_a_broken_row_and_reads_its_neighbours) {
  TempFolder folder;
  const auto path =
      folder.write("a.jsonl", "{\"n\": 1}\n{\"n\": \n[1]\n{\"n\": \"\xFF\"}\n{\"n\": 5}\n{\"n");
  const auto source = open(path, Format::jsonl);
  ASSERT_EQ(source->size(), 6);
  EXPECT_EQ(source->read(0).take().fields["n"], 1);
  EXPECT_EQ(source->read(4).take().fields["n"], 5);
  EXPECT_NE(read_fault(*source, 1).find(path + ":2: not valid JSON"), std::string::npos);
  EXPECT_NE(read_fault(*source, 2).find("expected a JSON object on the line, found array"),
            std::string::npos);
  EXPECT_NE(read_fault(*source, 3).find("UTF-8"), std::string::npos);
  EXPECT_NE(read_fault(*source, 5).find(path + ":6: "), std::string::npos);
}

TEST(JsonlSource, names_what_a_file_is_that_holds_no_lines_of_json) {
  TempFolder folder;
  const auto fault = [&](const std::string& bytes) {
    return open_fault(folder.write("a.jsonl", bytes), Format::jsonl);
  };
  EXPECT_NE(fault("\x1F\x8B\x08 and more").find("gunzip"), std::string::npos);
  EXPECT_NE(fault("\x28\xB5\x2F\xFD and more").find("unzstd"), std::string::npos);
  EXPECT_NE(fault(std::string("\xFF\xFE{\0", 4)).find("iconv"), std::string::npos);
  const auto list = open(folder.write("list.jsonl", "[{\"n\": 1}]"), Format::jsonl);
  EXPECT_NE(read_fault(*list, 0).find("dataset_format: json"), std::string::npos);
}

TEST(JsonlSource, reads_files_that_were_put_together_with_their_byte_order_marks) {
  TempFolder folder;
  const auto source = open(
      folder.write("a.jsonl", "\xEF\xBB\xBF{\"n\": 1}\n\xEF\xBB\xBF{\"n\": 2}\n"), Format::jsonl);
  EXPECT_EQ(source->read(0).take().fields["n"], 1);
  EXPECT_EQ(source->read(1).take().fields["n"], 2);
}

TEST(JsonSource, reads_the_elements_of_a_list) {
  TempFolder folder;
  const auto path = folder.write("a.json", R"( [ {"n": 1, "s": "],[\"{"} , {"n": [{}, [2]]} ] )");
  const auto source = open(path, Format::json);
  ASSERT_EQ(source->size(), 2);
  EXPECT_EQ(source->read(0).take().fields["s"], "],[\"{");
  EXPECT_EQ(source->read(1).take().fields["n"].dump(), "[{},[2]]");
  EXPECT_EQ(source->read(1).take().origin.text(), path + ":2");
  EXPECT_EQ(open(folder.write("b.json", " [ ] "), Format::json)->size(), 0);
}

TEST(JsonSource, refuses_a_file_that_is_no_whole_list) {
  TempFolder folder;
  const auto fault = [&](const std::string& text) {
    return open_fault(folder.write("a.json", text), Format::json);
  };
  EXPECT_NE(fault("").find("expected a JSON list"), std::string::npos);
  EXPECT_NE(fault("{\"a\": 1}\n{\"a\": 2}").find("jsonl"), std::string::npos);
  EXPECT_NE(fault("[{\"a\": 1}, {\"a\": \"x").find("cut off in element 2"), std::string::npos);
  EXPECT_NE(fault("[{\"a\": 1}").find("cut off"), std::string::npos);
  EXPECT_NE(fault("[{}] {}").find("text after the end"), std::string::npos);
  EXPECT_NE(fault("[\"\\").find("cut off"), std::string::npos);
}

TEST(JsonSource, finds_what_is_wrong_inside_an_element_when_it_is_read) {
  TempFolder folder;
  const auto path = folder.write("a.json", "[{\"a\": 1}, 7, {\"a\" 2}, {\"a\": 3},]");
  const auto source = open(path, Format::json);
  ASSERT_EQ(source->size(), 5);
  EXPECT_EQ(source->read(0).take().fields["a"], 1);
  EXPECT_EQ(source->read(3).take().fields["a"], 3);
  EXPECT_NE(read_fault(*source, 1).find("found number"), std::string::npos);
  EXPECT_NE(read_fault(*source, 2).find(path + ":3: not valid JSON"), std::string::npos);
  EXPECT_NE(read_fault(*source, 4).find("empty"), std::string::npos);
}

TEST(CsvSource, reads_quotes_commas_newlines_and_empty_cells) {
  TempFolder folder;
  std::string text = "\xEF\xBB\xBFprompt,response,id\r\n\"a, \"\"b\"\"\nc\",d,\r\n\n";
  for (int i = 0; i < 40; ++i) text += "p" + std::to_string(i) + ",\"x\ny\",7\n";
  const auto path = folder.write("a.csv", text + "last,\"q\",");
  const auto source = open(path, Format::csv);
  ASSERT_EQ(source->size(), 42);
  const auto first = source->read(0).take();
  EXPECT_EQ(first.fields.dump(), R"({"prompt":"a, \"b\"\nc","response":"d"})");
  EXPECT_EQ(first.origin.text(), path + ":2");
  EXPECT_EQ(source->read(1).take().origin.text(), path + ":5");
  EXPECT_EQ(source->read(40).take().fields["prompt"], "p39");
  EXPECT_EQ(source->read(40).take().origin.text(), path + ":83");
  EXPECT_EQ(source->read(41).take().fields["response"], "q");
}

TEST(CsvSource, says_what_is_wrong_with_a_row_or_a_header) {
  TempFolder folder;
  const auto source =
      open(folder.write("a.csv", "a,b\n1\n\"x\"y,2\n\xFF,2\n3,4\n\"open,5\n6,7\n"), Format::csv);
  ASSERT_EQ(source->size(), 5);
  EXPECT_NE(read_fault(*source, 0).find("expected 2 values"), std::string::npos);
  EXPECT_NE(read_fault(*source, 1).find("text after the closing quote"), std::string::npos);
  const auto odd = source->read(2).take().fields;  // which is bad where `a` is needed
  EXPECT_EQ(why_unreadable(odd["a"]), "not valid UTF-8");
  EXPECT_EQ(odd["b"], "2");
  EXPECT_EQ(source->read(3).take().fields["b"], "4");
  EXPECT_NE(read_fault(*source, 4).find("opened on line 6 is never closed"), std::string::npos);
  EXPECT_NE(open_fault(folder.write("b.csv", "a,a\n"), Format::csv).find("two columns"),
            std::string::npos);
  EXPECT_NE(open_fault(folder.write("c.csv", "\n"), Format::csv).find("header"), std::string::npos);
}

TEST(OpenSource, takes_globs_and_folders_and_names_what_is_missing) {
  TempFolder folder;
  folder.write("b.jsonl", "{\"n\": 2}\n");
  folder.write("a.jsonl", "{\"n\": 1}\n");
  EXPECT_EQ(open(folder.path("*.jsonl"), Format::jsonl)->read(0).take().fields["n"], 1);
  EXPECT_EQ(open(folder.path(""), Format::jsonl)->size(), 2);
  EXPECT_NE(open_fault(folder.path("*.csv"), Format::csv).find("no file matches"),
            std::string::npos);
  EXPECT_NE(open_fault(folder.path("c.jsonl"), Format::jsonl).find("no such file"),
            std::string::npos);
}

TEST(OpenSource, infers_the_format_from_suffix_and_folder) {
  EXPECT_EQ(infer_format("x/a.jsonl"), Format::jsonl);
  EXPECT_EQ(infer_format("x/*.parquet"), Format::parquet);
  EXPECT_EQ(infer_format(fixture("saved")), Format::arrow);
  EXPECT_EQ(infer_format("x/a.txt"), std::nullopt);
  EXPECT_EQ(infer_format("x/a"), std::nullopt);
}

TEST(OpenSource, survives_noise_and_every_cut_of_a_text_file) {
  TempFolder folder;
  std::mt19937 random(7);
  const std::string alphabet = "{}[]\",:\\\n\r 01aA\xC3\xA4\xFF\x00";
  for (int round = 0; round < 300; ++round) {
    std::string text = round % 2 ? "[{\"a\": 1}, {\"a\": [2, \"x\"]}]" : "a,b\n\"c\nd\",e\n1,2\n";
    if (round % 3 == 0) text.resize(random() % text.size());
    for (int i = 0; i < round % 40; ++i) {
      text.insert(random() % (text.size() + 1), 1, alphabet[random() % alphabet.size()]);
    }
    const auto path = folder.write("noise", text);
    for (const auto format : {Format::json, Format::jsonl, Format::csv}) {
      auto source = open_source(path, format);
      if (!source) continue;
      for (int64_t row = 0; row < (*source)->size(); ++row) {
        auto record = (*source)->read(row);
        if (!record) continue;  // valid UTF-8 throughout
        EXPECT_NO_THROW(record->fields.dump());
      }
    }
  }
}

}  // namespace
}  // namespace lmms::data
