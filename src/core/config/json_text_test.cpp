#include "core/config/json_text.h"

#include <gtest/gtest.h>

#include "core/config/yaml.h"

namespace lmms::config {
namespace {

TEST(JsonText, keeps_its_places_without_tabs_and_comments) {
  const std::string text =
      "// of ours\n{\n\t\"a\": 1,  // one\n\t/* two\n lines */ \"b\": \"x // y\\\" /* z\", \"c\": "
      "\"http://d\"\n}\n";
  const std::string plain = json_as_yaml(text);
  ASSERT_EQ(plain.size(), text.size());
  Faults faults;
  const Node root = parse_yaml(plain, "ds.json", faults);
  ASSERT_TRUE(faults.empty()) << faults.text();
  EXPECT_EQ(root.find("a")->at.text(), "ds.json:3:2");
  EXPECT_EQ(root.find("b")->at.text(), "ds.json:5:11");
  EXPECT_EQ(root.find("b")->value.text, "x // y\" /* z");
  EXPECT_EQ(root.find("c")->value.text, "http://d");
}

TEST(JsonText, takes_no_part_of_a_word_for_a_comment) {
  for (const char* text :
       {R"({"a": http://x, b: file:///y})", R"({a: s3://x/*, b: 1})", R"({a: don't, b: 'x // y'})",
        R"({a: 'it''s // one /* two */', b: '\', "c": " // 'd"})"})
    EXPECT_EQ(json_as_yaml(text), text);
  EXPECT_EQ(json_as_yaml("{\"a\":/* b */1, 'c'://d\n2} //e"), "{\"a\":       1, 'c':   \n2}    ");
  EXPECT_EQ(json_as_yaml("{a: don't, // isn't\n b: http: // c\n}"),
            "{a: don't,         \n b: http:     \n}");
}

TEST(JsonText, leaves_yaml_alone_and_ends_with_any_text) {
  EXPECT_EQ(json_as_yaml("a: 1\t// b"), "a: 1\t// b");
  EXPECT_EQ(json_as_yaml(""), "");
  for (const char* torn : {"{\"a", "{'a", "{'a''", "{\"a\\", "{/", "{ /*", "{ //", "{/*/"})
    EXPECT_EQ(json_as_yaml(torn).size(), std::string_view(torn).size());
}

}  // namespace
}  // namespace lmms::config
