#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <random>

#include "core/files.h"
#include "text/jinja/template.h"

namespace lmms::text::jinja {
namespace {

namespace fs = std::filesystem;
using testing::AllOf;
using testing::HasSubstr;

const Limits kSmall{.steps = 200'000, .output = 1 << 20, .memory = 8 << 20, .depth = 200};

/// What a template writes of {"x": ...}, or the text of its fault.
std::string written(const std::string& source, const std::string& x = "null",
                    const Limits& limits = {}, const Options& options = {}) {
  const auto jinja = Template::parse(source, "t.jinja");
  if (!jinja) return jinja.fault().text();
  Arena arena;
  const std::vector<NamedValue> variables = {{"x", parse_json(x, arena).take()}};
  const auto text = jinja->render(variables, options, limits);
  return text ? text->text : text.fault().text();
}

TEST(Jinja, takes_white_space_around_tags_as_transformers_sets_it) {
  EXPECT_EQ(written("a\n  {% if true %}\n  b\n  {% endif %}\nc"), "a\n  b\nc");
  EXPECT_EQ(written("a  {{- 1 -}}  b {{ 2 }}\n"), "a1b 2");
  EXPECT_EQ(written("a\n {%+ if true %}b{% endif +%}\nc"), "a\n b\nc");
  EXPECT_EQ(written("{# one #}\n{#- two -#}  x\r\ny\r"), "x\ny");
  EXPECT_EQ(written("{%- raw -%} {{ x }} {%- endraw -%} !"), "{{ x }}!");
}

TEST(Jinja, refuses_what_it_does_not_read_with_line_and_column) {
  EXPECT_THAT(written("a\n  {% include 'b' %}"), HasSubstr("t.jinja:2:6: the tag '{% include %}'"));
  EXPECT_THAT(written("{{ x | uper }}"), AllOf(HasSubstr("t.jinja:1:8: the filter 'uper'"),
                                               HasSubstr("did you mean 'upper'?")));
  EXPECT_THAT(written("ü\nä{{ x is weird }}"), HasSubstr("t.jinja:2:10: the test 'weird'"));
  EXPECT_THAT(written("{% if x %}\n"), HasSubstr("t.jinja:1:4: '{% if %}' is not closed"));
  EXPECT_THAT(written("{% endif %}"), HasSubstr("1:4: '{% endif %}' without what it belongs to"));
  EXPECT_THAT(written("{{ f(*x) }}"), HasSubstr("1:6: arguments by * and **"));
  EXPECT_THAT(written("{{ x"), HasSubstr("1:1: {{ that does not end"));
  EXPECT_THAT(written("{{ (1] }}"), HasSubstr("1:6: unexpected ']', expected ')'"));
  EXPECT_THAT(written("{{ 'abc }}"), HasSubstr("1:4: a string that does not end"));
  EXPECT_THAT(written("{% for a in x recursive %}{% endfor %}"),
              HasSubstr("1:15: loops that call"));
  EXPECT_THAT(written("{% break %}"), HasSubstr("'{% break %}' outside of a loop"));
  EXPECT_THAT(written("{{ 1 + }}"), HasSubstr("1:8: expected an expression, found '}}'"));
}

TEST(Jinja, names_what_is_wrong_with_a_value_where_it_is_used) {
  EXPECT_THAT(written("\n{{ y.z }}"), HasSubstr("t.jinja:2:5: 'y' is undefined"));
  EXPECT_THAT(written("{{ 'a' + 1 }}"), HasSubstr("'+' of values of type str and int"));
  EXPECT_THAT(written("{{ x | map('upper') }}", "[]"),
              HasSubstr("type generator cannot be written"));
  EXPECT_THAT(written("{{ raise_exception('no ' ~ x) }}", "7"),
              HasSubstr("the template refuses this chat: no 7"));
  EXPECT_THAT(written("{% set x.y = 1 %}", "{}"), HasSubstr("'x' is no namespace"));
  EXPECT_THAT(written("{{ 9223372036854775807 + 1 }}"), HasSubstr("beyond 64 bits"));
}

TEST(Jinja, has_no_way_out_of_its_values) {
  for (const char* way : {"{{ x.__class__ }}", "{{ ''.__class__.__mro__ }}", "{{ x['__init__'] }}",
                          "{{ x | attr('__globals__') }}", "{{ namespace.__init__ }}"}) {
    EXPECT_THAT(written(way, "{}"), HasSubstr("is not to be seen by templates")) << way;
  }
  EXPECT_THAT(written("{{ x.append(1) }}", "[]"), HasSubstr("the method 'append' of list"));
  EXPECT_THAT(written("{{ x.update({}) }}", "{}"), HasSubstr("the method 'update' of dict"));
  for (const char* name : {"self", "lipsum", "cycler", "open", "exec", "eval", "import"}) {
    EXPECT_THAT(written(std::string("{{ ") + name + "('a') }}"), HasSubstr("is undefined")) << name;
  }
}

TEST(Jinja, ends_templates_that_would_not_end) {
  const std::string long_loop =
      "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}";
  EXPECT_THAT(written(long_loop + "{% endfor %}", "null", kSmall), HasSubstr("more than"));
  EXPECT_THAT(written("{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}"),
              HasSubstr("nested deeper than 400"));
  EXPECT_THAT(written("{{ 'a' * 999999999999 }}"), HasSubstr("bytes; at most"));
  EXPECT_THAT(written("{{ ('a' * 600000) | replace('a', 'b' * 600000) }}"),
              HasSubstr("bytes; at most"));
  const std::string doubled =
      "{% set n = namespace(v=['x']) %}{% for i in range(60) %}"
      "{% set n.v = [n.v, n.v] %}{% endfor %}";
  EXPECT_THAT(written(doubled + "{{ n.v | tojson }}"), HasSubstr("too large"));
  EXPECT_THAT(written(doubled + "{{ n.v }}"), HasSubstr("too large"));
  EXPECT_THAT(written("{% set n = namespace(v=['x'], w=['x']) %}{% for i in range(60) %}"
                      "{% set n.v = [n.v, n.v] %}{% set n.w = [n.w, n.w] %}{% endfor %}"
                      "{{ n.v == n.w }}",
                      "null", kSmall),
              HasSubstr("too large"));
  const std::string nested =
      "{% set n = namespace(v=1) %}{% for i in range(90000) %}"
      "{% set n.v = [n.v] %}{% endfor %}";
  EXPECT_EQ(written(nested + "ok"), "ok");
  EXPECT_THAT(written(nested + "{{ n.v }}"), HasSubstr("nested too deep"));
  EXPECT_THAT(written("{% set n = namespace() %}{% set n.n = n %}{{ n.n.n.n | tojson }}"),
              HasSubstr("type Namespace cannot be written"));
  EXPECT_THAT(written("{{ " + std::string(100'000, '(') + "1" + std::string(100'000, ')') + " }}"),
              HasSubstr("nested too deep"));
  std::string sum = "{{ 1";
  for (int i = 0; i < 100'000; ++i) sum += "+1";
  EXPECT_THAT(written(sum + " }}"), HasSubstr("nested deeper than 400"));
}

TEST(Jinja, knows_a_day_only_where_it_is_told_one) {
  EXPECT_EQ(written("{{ strftime_now is defined }}"), "False");
  EXPECT_EQ(written("{{ strftime_now('%a %d %b %Y %-m/%y %A %B') }}", "null", {},
                    {Options::Date{2026, 7, 4}}),
            "Sat 04 Jul 2026 7/26 Saturday July");
  EXPECT_EQ(written("{{ strftime_now('%a') }}", "null", {}, {Options::Date{2024, 2, 29}}), "Thu");
}

TEST(Jinja, marks_answers_in_bytes) {
  const auto jinja = Template::parse("ü{% generation %}é{% endgeneration %}.", "t").take();
  const auto text = jinja.render({}).take();
  ASSERT_EQ(text.answers.size(), 1u);
  EXPECT_EQ(text.answers[0].begin, 2u);
  EXPECT_EQ(text.answers[0].end, 4u);
  EXPECT_THAT(written("{% macro m() %}{% generation %}a{% endgeneration %}{% endmacro %}{{ m() }}"),
              HasSubstr("inside of a macro"));
}

std::vector<std::string> sources() {
  std::vector<std::string> out;
  for (const auto& entry :
       fs::directory_iterator(fs::path(LMMS_SOURCE_DIR) / "tests/parity/data/chat_templates"))
    if (entry.path().extension() == ".jinja") out.push_back(read_file(entry.path()).take());
  return out;
}

constexpr const char* kMessages = R"([{"role": "user", "content": "q"}, {"role": "assistant",
    "content": "a", "tool_calls": [{"id": "123456789", "function": {"name": "f",
    "arguments": {"k": [1, null]}}}]}, {"role": "tool", "content": [{"type": "text", "text": "r"}]}])";

/// Reads a template and, if it can be read, renders it; neither crashes nor hangs.
void survive(std::string_view source) {
  const auto jinja = Template::parse(source, "t");
  if (!jinja) {
    EXPECT_THAT(jinja.fault().where, testing::StartsWith("t:"));
    return;
  }
  Arena arena;
  const std::vector<NamedValue> variables = {{"messages", parse_json(kMessages, arena).take()},
                                             {"tools", parse_json(kMessages, arena).take()},
                                             {"bos_token", Value::of(std::string_view("<s>"))}};
  const auto text = jinja->render(variables, {}, kSmall);
  if (text) {
    EXPECT_LE(text->text.size(), kSmall.output);
  }
}

TEST(JinjaGarbage, templates_cut_at_every_byte_do_no_harm) {
  for (const std::string& source : sources())
    for (size_t size = 0; size < source.size(); ++size)
      survive(std::string_view(source).substr(0, size));
}

TEST(JinjaGarbage, templates_with_bytes_changed_do_no_harm) {
  constexpr std::string_view kBytes =
      "{}%#-+|()[]'\"\\.,:=~*/ \n\xff\x80"
      "ai01_<>";
  std::mt19937 random(7);
  const auto below = [&](size_t n) { return static_cast<size_t>(random() % n); };
  for (const std::string& source : sources()) {
    for (int i = 0; i < 150; ++i) {
      std::string changed = source;
      for (size_t n = 1 + below(4); n > 0; --n) {
        const size_t at = below(changed.size());
        switch (below(4)) {
          case 0:
            changed[at] = kBytes[below(kBytes.size())];
            break;
          case 1:
            changed.erase(at, 1 + below(8));
            break;
          case 2:
            changed.insert(at, 1, kBytes[below(kBytes.size())]);
            break;
          default: {
            const size_t from = below(changed.size());
            changed.insert(at, changed.substr(from, below(40)));
          }
        }
        if (changed.empty()) changed = "{";
      }
      survive(changed);
    }
  }
}

TEST(JinjaGarbage, random_bytes_do_no_harm) {
  constexpr std::string_view kPieces[] = {
      "{{",   "}}",       "{%", "%}",     "{#", "#}",  "-",     " if ",  " for ",
      " in ", "messages", "x",  "'",      "\"", "(",   ")",     "[",     "]",
      "|",    "map",      "is", "0",      "1",  ".",   ",",     "endif", "\n",
      "\xff", "set ",     "=",  "macro ", "~",  "raw", "endraw"};
  std::mt19937 random(11);
  for (int i = 0; i < 20'000; ++i) {
    std::string source;
    for (size_t n = random() % 40; n > 0; --n) source += kPieces[random() % std::size(kPieces)];
    survive(source);
  }
}

}  // namespace
}  // namespace lmms::text::jinja
