#include "report/html/html.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <stdexcept>

namespace lmms::report::html {
namespace {

TEST(Html, escapes_what_could_end_an_element_or_an_attribute) {
  EXPECT_EQ(escape("<a href=\"x\" title='y'>&amp;</a>"),
            "&lt;a href=&quot;x&quot; title=&#39;y&#39;&gt;&amp;amp;&lt;/a&gt;");
  EXPECT_EQ(escape("plain\ttext\n"), "plain\ttext\n");
}

TEST(Html, keeps_utf8_and_replaces_what_is_none) {
  EXPECT_EQ(escape("ä€😀"), "ä€😀");
  EXPECT_EQ(escape("a\xFFz"), "a\xEF\xBF\xBDz");
  EXPECT_EQ(escape("\xE2\x82"), "\xEF\xBF\xBD\xEF\xBF\xBD");                     // cut
  EXPECT_EQ(escape("\xC0\xAF"), "\xEF\xBF\xBD\xEF\xBF\xBD");                     // overlong
  EXPECT_EQ(escape("\xED\xA0\x80"), "\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD");     // surrogate
  EXPECT_EQ(escape(std::string_view("\0\x1B", 2)), "\xEF\xBF\xBD\xEF\xBF\xBD");  // control
}

TEST(Html, json_in_a_script_cannot_end_the_script_and_reads_the_same) {
  const nlohmann::json value{{"prompt", "</script><!-- & \xE2\x80\xA8\xE2\x80\xA9 ä"}};
  const std::string text = script_json(value.dump());
  for (const char* bad : {"<", ">", "&", "\xE2\x80\xA8", "\xE2\x80\xA9"})
    EXPECT_EQ(text.find(bad), std::string::npos) << bad;
  EXPECT_EQ(nlohmann::json::parse(text), value);
}

TEST(Html, fills_a_template_in_one_pass) {
  EXPECT_EQ(fill("<{{a}}|{{b}}>", {{"a", "{{b}}"}, {"b", "2"}}), "<{{b}}|2>");
  EXPECT_EQ(fill("x {{ y", {}), "x {{ y");
  EXPECT_THROW(fill("{{c}}", {{"a", ""}}), std::logic_error);
}

TEST(Html, the_shared_style_is_embedded_whole) {
  EXPECT_TRUE(embedded::html_base_css.starts_with("/*"));
  EXPECT_TRUE(embedded::html_base_css.ends_with("}\n"));
}

}  // namespace
}  // namespace lmms::report::html
