#include "data/json_value.h"

#include <gtest/gtest.h>

#include "data/json_text.h"

namespace lmms::data {
namespace {

std::string reparsed(const std::string& json) {
  return dump_as_python(parse_json(json).take()).take();
}

TEST(JsonValue, is_written_as_python_writes_it) {
  EXPECT_EQ(reparsed(R"({"b":1,"a":[true,null,{}],"":[]})"),
            R"({"b": 1, "a": [true, null, {}], "": []})");
  EXPECT_EQ(reparsed(R"(["ü加<&>\/\u2028", "\"\\\n\r\t\b\f\u0001\u007f"])"),
            "[\"ü加<&>/\u2028\", \"\\\"\\\\\\n\\r\\t\\b\\f\\u0001\x7f\"]");
  EXPECT_EQ(reparsed("[1.0, -0.0, 0.1, 100.0, 1e15, 1e16, 123456789012345680.0, 2.5e-7, 0.0001, "
                     "0.00012, 1e300, 5e-324]"),
            "[1.0, -0.0, 0.1, 100.0, 1000000000000000.0, 1e+16, 1.2345678901234568e+17, 2.5e-07, "
            "0.0001, 0.00012, 1e+300, 5e-324]");
  EXPECT_EQ(reparsed("[18446744073709551615, -9223372036854775808]"),
            "[18446744073709551615, -9223372036854775808]");
  EXPECT_FALSE(dump_as_python(Json{{"a", Json::binary({1})}}).ok());
}

TEST(JsonValue, keeps_the_order_of_members_and_the_last_value_of_a_key) {
  EXPECT_EQ(reparsed(R"({"b": 1, "a": 2, "b": 3})"), R"({"b": 3, "a": 2})");
  std::string many = "{", expected = "{";
  for (int i = 100; i > 0; --i) {
    many += "\"k" + std::to_string(i) + "\": 0, ";
    expected +=
        "\"k" + std::to_string(i) + "\": " + (i == 50 ? "null" : "0") + (i > 1 ? ", " : "}");
  }
  EXPECT_EQ(reparsed(many + "\"k50\": null}"), expected);
}

TEST(JsonValue, finds_members_that_are_there) {
  const Json object = {{"a", nullptr}, {"b", false}};
  EXPECT_EQ(find_member(object, "a"), nullptr);
  EXPECT_EQ(find_member(object, "c"), nullptr);
  EXPECT_EQ(*find_member(object, "b"), false);
  EXPECT_EQ(find_member(Json::array({1}), "b"), nullptr);
}

}  // namespace
}  // namespace lmms::data
