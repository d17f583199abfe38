// What Python's json module writes, for parsers that know less.
#include "core/plain_json.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace lmms {
namespace {

TEST(PlainJson, leaves_plain_json_as_it_is) {
  for (const char* text :
       {"{}", R"({"a": [1, -2, 0.5, 1e-400, 1.5E+3, true, null], "b": "NaN"})",
        R"({"max": 18446744073709551615, "min": -9223372036854775808, "largest": 1.7e308})",
        R"(["Infinity \" NaN 1000000000000000000000", "\\", "-Infinity"])"}) {
    EXPECT_EQ(plain_json(text), text);
  }
}

TEST(PlainJson, has_no_byte_order_mark) {
  EXPECT_EQ(plain_json("\xEF\xBB\xBF{}"), "{}");
  EXPECT_EQ(plain_json("\xEF\xBB\xBF"), "");
  EXPECT_EQ(plain_json("[\"\xEF\xBB\xBF\"]"), "[\"\xEF\xBB\xBF\"]");
}

TEST(PlainJson, has_integers_beyond_64_bits_as_floating_point_numbers) {
  EXPECT_EQ(plain_json(R"({"model_max_length": 1000000000000000019884624838656})"),
            R"({"model_max_length": 1000000000000000019884624838656e0})");
  EXPECT_EQ(plain_json("[18446744073709551616,-9223372036854775809]"),
            "[18446744073709551616e0,-9223372036854775809e0]");
}

TEST(PlainJson, has_what_is_no_finite_number_as_a_string_and_back) {
  const std::string text =
      "[NaN, Infinity,-Infinity, 1e400, -1e999, " + std::string(400, '9') + "]";
  const std::string plain = plain_json(text);
  EXPECT_THAT(plain, testing::StartsWith(
                         R"(["not a finite number: NaN", "not a finite number: Infinity",)"
                         R"("not a finite number: -Infinity", "not a finite number: 1e400",)"));
  EXPECT_EQ(python_json(plain), text);
  EXPECT_EQ(python_json("[\"not a finite number: "), "[");
  EXPECT_EQ(python_json("[\"a\"]"), "[\"a\"]");
}

TEST(PlainJson, ends_on_any_bytes) {
  for (const char* text :
       {"\"", "\"\\", "\"a\\\"", "-", "-Inf", "Na", "N", "1e", "--1", "{\"a\": "})
    EXPECT_EQ(plain_json(text), text);
  EXPECT_EQ(plain_json(""), "");
}

}  // namespace
}  // namespace lmms
