#include <gtest/gtest.h>

#include <filesystem>
#include <set>

#include "text/json.h"
#include "text/regex.h"
#include "text/unicode/categories.h"
#include "text/unicode/normal_form.h"
#include "text/unicode/utf8.h"

namespace lmms::text::unicode {
namespace {

/// What the reference's regular expressions and normaliser do to every code point.
JsonFile properties() {
  return JsonFile::read(std::filesystem::path(LMMS_SOURCE_DIR) / "tests" / "parity" / "data" /
                        "tokenizer" / "properties.json")
      .take();
}

std::string utf8(char32_t c) {
  std::string text;
  append(text, c);
  return text;
}

bool is_surrogate(char32_t c) {
  return c >= 0xD800 && c <= 0xDFFF;
}

bool belongs(std::string_view pattern, char32_t c) {
  if (pattern == R"(\s)") return is_space(c);
  if (pattern == R"(\d)") return category(c) == Category::Nd;
  if (pattern == R"(\p{L})") return is_letter(c);
  if (pattern == R"(\p{N})") return is_number(c);
  if (pattern == R"(\p{M})") return is_mark(c);
  if (pattern == R"(\p{P})") return category(c) >= Category::Pc && category(c) <= Category::Ps;
  if (pattern == R"(\p{S})") return category(c) >= Category::Sc && category(c) <= Category::So;
  if (pattern == R"(\p{Lu})") return category(c) == Category::Lu;
  if (pattern == R"(\p{Ll})") return category(c) == Category::Ll;
  if (pattern == R"(\p{Lt})") return category(c) == Category::Lt;
  if (pattern == R"(\p{Lm})") return category(c) == Category::Lm;
  if (pattern == R"(\p{Lo})") return category(c) == Category::Lo;
  throw std::logic_error("no such class: " + std::string(pattern));
}

TEST(Classes, equal_the_reference_for_every_code_point) {
  const JsonFile file = properties();
  size_t classes = 0;
  const Json stored = file.root().at("classes");
  for (const auto [pattern, ranges] : stored.object()) {
    ++classes;
    std::vector<bool> inside(kLastCodePoint + 1);
    for (const auto range : simdjson::dom::array(ranges)) {
      for (auto c = static_cast<size_t>(int64_t(range.at(0)));
           c <= static_cast<size_t>(int64_t(range.at(1))); ++c)
        inside[c] = true;
    }
    for (char32_t c = 0; c <= kLastCodePoint; ++c) {
      if (is_surrogate(c)) continue;
      ASSERT_EQ(belongs(pattern, c), inside[c])
          << pattern << " U+" << std::hex << static_cast<uint32_t>(c);
    }
  }
  EXPECT_EQ(classes, 12u);
}

TEST(Classes, spelled_out_for_pcre2_equal_the_tables_for_every_code_point) {
  for (const char* pattern :
       {R"(\p{L})", R"(\s)", R"([\p{M}\p{N}])", R"([^\s\p{L}])", R"(\P{Lu})", R"(\p{^S})"}) {
    const Regex regex = Regex::compile(pattern).take();
    for (char32_t c = 0; c <= kLastCodePoint; ++c) {
      if (is_surrogate(c)) continue;
      const std::string_view p = pattern;
      const bool expected = p == R"([\p{M}\p{N}])" ? is_mark(c) || is_number(c)
                            : p == R"([^\s\p{L}])" ? !is_space(c) && !is_letter(c)
                            : p == R"(\P{Lu})"     ? category(c) != Category::Lu
                            : p == R"(\p{^S})"     ? !belongs(R"(\p{S})", c)
                                                   : belongs(p, c);
      bool found = false;
      regex.find_all(utf8(c), [&](size_t, size_t) { found = true; });
      ASSERT_EQ(found, expected) << pattern << " U+" << std::hex << static_cast<uint32_t>(c);
    }
  }
}

TEST(NormalFormC, equals_the_reference_for_every_code_point_alone_and_among_marks) {
  const JsonFile file = properties();
  std::set<std::string, std::less<>> changed;
  size_t i = 0;
  const Json stored = file.root().at("nfc");
  for (const auto pair : stored.array()) {
    const std::string text(std::string_view(pair.at(0))), normal(std::string_view(pair.at(1)));
    ASSERT_EQ(to_nfc(text), normal) << "case " << i;
    if (text != normal) {
      ASSERT_FALSE(is_surely_nfc(text)) << "case " << i;
      changed.insert(text);
    }
    ASSERT_EQ(to_nfc(normal), normal) << "case " << i;
    ++i;
  }
  EXPECT_GT(i, 5000u);
  const char* const around[][2] = {
      {"", ""}, {"x\u0345", ""}, {"x", "\u0334"}, {"x\u0323", "\u0301"}};
  for (char32_t c = 0; c <= kLastCodePoint; ++c) {
    if (is_surrogate(c)) continue;
    for (const auto& [before, behind] : around) {
      const std::string text = before + utf8(c) + behind;
      if (changed.contains(text)) continue;
      ASSERT_EQ(to_nfc(text), text) << "U+" << std::hex << static_cast<uint32_t>(c);
    }
  }
}

TEST(NormalFormC, composes_every_hangul_syllable_from_its_jamo) {
  for (char32_t c = 0xAC00; c < 0xAC00 + 11172; ++c) {
    const char32_t index = c - 0xAC00;
    std::string jamo = utf8(0x1100 + index / 588) + utf8(0x1161 + index / 28 % 21);
    if (index % 28 != 0) jamo += utf8(0x11A7 + index % 28);
    ASSERT_EQ(to_nfc(jamo), utf8(c));
    ASSERT_EQ(to_nfc(utf8(c)), utf8(c));
  }
}

/// Cases in the manner of Unicode's NormalizationTest.txt: reordering, blocking, exclusions, long
/// runs.
TEST(NormalFormC, reorders_blocks_and_excludes) {
  EXPECT_EQ(to_nfc("a\u0301\u0323"), "\u1ea1\u0301");  // the lower class first, and it joins
  EXPECT_EQ(to_nfc("a\u0323\u0301"), "\u1ea1\u0301");
  EXPECT_EQ(to_nfc("D\u0307\u0323"), "\u1e0c\u0307");
  EXPECT_EQ(to_nfc("a\u0345\u0301"), "\u00e1\u0345");  // an unblocked mark joins over another class
  EXPECT_EQ(to_nfc("a\u0305\u0301"), "a\u0305\u0301");  // the same class blocks
  EXPECT_EQ(to_nfc("\u0958"), "\u0915\u093c");          // a composition exclusion
  EXPECT_EQ(to_nfc("\u0915\u093c"), "\u0915\u093c");
  EXPECT_EQ(to_nfc("\u0344"), "\u0308\u0301");  // not one starter
  EXPECT_EQ(to_nfc("\u212b"), "\u00c5");        // a singleton
  EXPECT_EQ(to_nfc("\U0001d15e"), "\U0001d157\U0001d165");
  EXPECT_EQ(to_nfc("\u1100\u1161\u1161"), "\uac00\u1161");
  EXPECT_EQ(to_nfc("\uac00\u11a7"), "\uac00\u11a7");
  EXPECT_EQ(to_nfc("\u0b47\u0300\u0b3e"), "\u0b47\u0300\u0b3e");  // a mark stands between
  std::string run = "e";
  for (int i = 0; i < 2000; ++i) run += i % 2 == 0 ? "\u0301" : "\u0323";
  const std::string normal = to_nfc(run);
  EXPECT_EQ(normal.substr(0, 3), "\u1eb9");
  EXPECT_EQ(to_nfc(normal), normal);
}

TEST(Utf8, replaces_each_maximal_invalid_subpart) {
  EXPECT_EQ(replace_invalid("caf\xC3"), "caf\uFFFD");
  EXPECT_EQ(replace_invalid("\xE1\x80\xE2\xF0\x91\x92\xF1\xBF\x41"),
            "\uFFFD\uFFFD\uFFFD\uFFFD"
            "A");                                                    // table 3-11
  EXPECT_EQ(replace_invalid("\xED\xA0\x80"), "\uFFFD\uFFFD\uFFFD");  // a surrogate
  EXPECT_EQ(replace_invalid("\xC0\xAF\xE0\x80\xBF\xF0\x81\x82\x41"),
            "\uFFFD\uFFFD\uFFFD\uFFFD\uFFFD\uFFFD\uFFFD\uFFFD"
            "A");
  EXPECT_EQ(replace_invalid("\xF4\x90\x80\x80"), "\uFFFD\uFFFD\uFFFD\uFFFD");
  EXPECT_EQ(replace_invalid("\xFF"), "\uFFFD");
  EXPECT_EQ(replace_invalid(""), "");
}

TEST(Utf8, takes_every_code_point_and_nothing_else) {
  for (char32_t c = 0; c <= kLastCodePoint; ++c) {
    const std::string text = "12345" + utf8(c) + "x";
    ASSERT_EQ(valid_prefix(text), is_surrogate(c) ? 5 : text.size());
    if (is_surrogate(c)) continue;
    const char* at = text.data() + 5;
    ASSERT_EQ(next(at), c);
    ASSERT_EQ(previous(at), c);
    ASSERT_EQ(at, text.data() + 5);
  }
}

}  // namespace
}  // namespace lmms::text::unicode
