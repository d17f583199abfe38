#include "core/config/yaml.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

#include "core/config/overrides.h"
#include "core/config/value_json.h"
#include "core/format.h"

namespace lmms::config {
namespace {

Node parse(const std::string& text) {
  Faults faults;
  Node node = parse_yaml(text, "a.yaml", faults);
  EXPECT_EQ(faults.text(), "");
  return node;
}

std::string faults_of(const std::string& text) {
  Faults faults;
  parse_yaml(text, "a.yaml", faults);
  return faults.text();
}

Value value_of(const std::string& scalar) {
  return to_value(parse("k: " + scalar).find("k")->value);
}

TEST(Yaml, remembers_where_keys_and_values_stand) {
  const Node root = parse("a: 1\nb:\n  c: [x, yy]\n");
  EXPECT_EQ(root.find("a")->at.text(), "a.yaml:1:1");
  EXPECT_EQ(root.find("a")->value.at.text(), "a.yaml:1:4");
  const Entry* c = root.find("b")->value.find("c");
  EXPECT_EQ(c->at.text(), "a.yaml:3:3");
  EXPECT_EQ(c->value.at.text(), "a.yaml:3:6");
  EXPECT_EQ(c->value.items[1].at.text(), "a.yaml:3:10");
}

TEST(Yaml, reads_booleans_and_null_as_yaml_1_1_has_them) {
  for (const char* text : {"true", "True", "yes", "Yes", "on", "ON"})
    EXPECT_EQ(value_of(text), Value{true}) << text;
  for (const char* text : {"false", "FALSE", "no", "No", "off"})
    EXPECT_EQ(value_of(text), Value{false}) << text;
  for (const char* text : {"null", "~", "", "NULL"}) EXPECT_EQ(value_of(text), Value{}) << text;
  for (const char* text : {"'yes'", "\"null\"", "y", "n", "nul"})
    EXPECT_NE(value_of(text).string(), nullptr) << text;
}

TEST(Yaml, reads_numbers_with_and_without_a_point) {
  EXPECT_EQ(value_of("1e-4"), Value{1e-4});
  EXPECT_EQ(value_of("1.0e-4"), Value{1e-4});
  EXPECT_EQ(value_of("-.5"), Value{-0.5});
  EXPECT_EQ(value_of("+7"), Value{int64_t{7}});
  EXPECT_EQ(value_of("1_000"), Value{int64_t{1000}});
  EXPECT_EQ(value_of("0x10"), Value{int64_t{16}});
  EXPECT_EQ(value_of("0b101"), Value{int64_t{5}});
  EXPECT_EQ(value_of("9223372036854775807"), Value{INT64_MAX});
  EXPECT_EQ(value_of("9223372036854775808"), Value{9223372036854775808.0});
  EXPECT_EQ(value_of(".inf"), Value{std::numeric_limits<double>::infinity()});
}

TEST(Yaml, leaves_what_only_looks_like_a_number_as_text) {
  for (const char* text : {"010", "1:30", "1.2.3", "1e", "e5", ".", "0x", "1e5x", "2024-01-01",
                           "--3", "+-3", "0x-1"}) {
    EXPECT_NE(value_of(text).string(), nullptr) << text;
  }
}

TEST(Yaml, a_whole_number_may_be_written_as_a_float) {
  int64_t value = 0;
  EXPECT_TRUE(read_integer(Node::scalar("1e3"), value));
  EXPECT_EQ(value, 1000);
  EXPECT_TRUE(read_integer(Node::scalar("32000.0"), value));
  EXPECT_EQ(value, 32000);
  EXPECT_FALSE(read_integer(Node::scalar("1.5"), value));
  EXPECT_FALSE(read_integer(Node::scalar("1e300"), value));
  EXPECT_FALSE(read_integer(Node::scalar(".nan"), value));
}

TEST(Yaml, expands_anchors_and_merge_keys_with_own_keys_first) {
  const Node root =
      parse("base: &b {lr: 1, wd: 2}\nother: &o {wd: 3, x: 4}\nrun:\n  lr: 5\n  <<: [*b, *o]\n");
  EXPECT_EQ(to_json(to_value(root.find("run")->value)).dump(), R"({"lr":5,"wd":2,"x":4})");
  EXPECT_EQ(root.find("run")->value.find("x")->at.text(), "a.yaml:2:19");
}

TEST(Yaml, becomes_json_in_the_order_of_the_file) {
  EXPECT_EQ(to_json(to_value(parse("b: {z: 1, y: [{d: 1, c: 2}]}\na: 2\n"))).dump(),
            R"({"b":{"z":1,"y":[{"d":1,"c":2}]},"a":2})");
}

TEST(Yaml, names_the_likely_cause_of_a_broken_file) {
  EXPECT_THAT(faults_of("a:\n\tb: 1\n"), testing::HasSubstr("with blanks, not with tabs"));
  EXPECT_THAT(faults_of("a:\n  b: 1\n   c: 2\n"), testing::HasSubstr("a.yaml:3:5: no YAML"));
  EXPECT_THAT(faults_of("a:\n  b: 1\n   c: 2\n"), testing::HasSubstr("indented further than it"));
  EXPECT_THAT(faults_of("a:\n  b 1\n  c: 2\n"), testing::HasSubstr("lack a ':'"));
}

TEST(Yaml, names_what_is_wrong_and_where) {
  EXPECT_EQ(
      faults_of("a: 1\nb: [1, 2\nc: 3\n"),
      "a.yaml:3:2: no YAML: end of sequence flow not found; a [ or { before it is not closed");
  EXPECT_EQ(faults_of("a: 1\nb: 2\na: 3\n"), "a.yaml:3:1: a: given twice; first at a.yaml:1:1");
  EXPECT_EQ(faults_of("a: 1\n---\nb: 2\n"), "a.yaml:3:1: a second document; expected one");
  EXPECT_EQ(faults_of("[a, b]: 1\n"), "a.yaml:1:1: got a list as a key; expected a name");
  EXPECT_EQ(faults_of("a: !!python/object:os.system x\n"),
            "a.yaml:1:4: the tag tag:yaml.org,2002:python/object:os.system is not read; expected "
            "plain YAML");
  EXPECT_EQ(faults_of("a: 1\n<<: 3\n"), "a.yaml:2:5: <<: got '3'; expected a map to merge");
  EXPECT_EQ(faults_of("a: &x [1, *x]\n"), "a.yaml:1:11: an alias stands inside what it refers to");
  EXPECT_EQ(faults_of(std::string(201, 'k') + ": 1\n"),
            "a.yaml:1:1: a key of 201 bytes; expected a name");
  EXPECT_EQ(faults_of("a: *nobody\n"), "a.yaml:1:4: no YAML: the referenced anchor is not defined");
  EXPECT_EQ(faults_of(std::string("a: 1\nb: \x04\n")),
            "a.yaml:2:4: byte 0x04 is no text; expected YAML in UTF-8");
  EXPECT_EQ(faults_of("a: \xff\n"), "a.yaml:1:4: byte 0xff is no text; expected YAML in UTF-8");
  EXPECT_EQ(faults_of(std::string("\xff\xfe") + std::string("a\0:\0", 4)),
            "a.yaml:1:1: byte 0xff is no text; expected YAML in UTF-8");
}

TEST(Yaml, survives_bombs) {
  std::string laughs = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n";
  for (int i = 1; i < 30; ++i) {
    laughs += fmt::format("a{0}: &a{0} [*a{1}, *a{1}, *a{1}, *a{1}, *a{1}, *a{1}, *a{1}, *a{1}]\n",
                          i, i - 1);
  }
  EXPECT_NE(faults_of(laughs).find("aliases expanded"), std::string::npos);
  for (const char* unit :
       {"[", "{a: ", "- ", "? ", "&a ", "!x ", "a: - ", "\"", "{[", "!<", "|\n"}) {
    std::string text;
    while (text.size() < 200'000) text += unit;
    faults_of(text);  // any answer but a crash
  }
  std::string deep;
  for (int i = 0; i < 1000; ++i) deep += std::string(static_cast<size_t>(i), ' ') + "a:\n";
  EXPECT_THAT(faults_of(deep), testing::HasSubstr("nested too deeply; expected a config"));
  EXPECT_EQ(faults_of(std::string(2 << 20, 'x')),
            "a.yaml:1:1: 2097152 bytes; expected a config of at most 1048576");
}

TEST(Yaml, writes_what_reads_back_the_same) {
  const Node root = parse(
      "plain: word\nno: 'no'\nnumber: '12'\nspace: ' x '\ncolon: 'a: b'\nhash: 'a #b'\nquote: "
      "'\"\\'\nbreak: \"a\\nb\\tc\\x01\"\n"
      "date: '2024-01-01'\ntime: '1:30'\nempty: ''\nsmall: 1e-05\nbig: 1e+20\nwhole: 3.0\nlist: "
      "[1, [2, 3], {a: b}]\n"
      "maps: [{a: 1, b: [x]}, {}]\nnone: ~\nnested: {a: {b: {c: {}}}, d: []}\numlaut: "
      "\xc3\xa4\n'yes': 1\n'': 2\n'- x': 3\n");
  const std::string text = write_yaml(root);
  EXPECT_EQ(to_value(parse(text)), to_value(root)) << text;
  EXPECT_EQ(to_value(parse(write_flow(root))), to_value(root)) << write_flow(root);
}

TEST(Yaml, writes_floats_that_pyyaml_reads_as_floats) {
  EXPECT_EQ(to_node(1e-5).text, "1.0e-05");
  EXPECT_EQ(to_node(3.0).text, "3.0");
  EXPECT_EQ(to_node(0.1).text, "0.1");
  EXPECT_EQ(to_node(2.5e-300).text, "2.5e-300");
}

TEST(Yaml, writes_any_text_so_that_it_reads_back_the_same) {
  constexpr std::string_view kCharacters = "ab1 .?!:,#&*-+|>@`\"'%[]{}=<~\\\n\tn";
  std::mt19937_64 random(5);
  for (int round = 0; round < 3000; ++round) {
    std::vector<std::string> texts;
    for (int n = 0; n < 3; ++n) {
      std::string text;
      for (uint64_t i = random() % 7; i > 0; --i)
        text += kCharacters[random() % kCharacters.size()];
      texts.push_back(text);
    }
    Node root;
    root.kind = Node::Kind::map;
    Entry list, value;
    list.key = "list";
    list.value.kind = Node::Kind::list;
    for (const std::string& text : texts) list.value.items.push_back(to_node(text));
    value.key = "value";
    value.value = to_node(texts.front());
    root.entries = {list, value};
    const std::string written = write_yaml(root);
    Faults faults;
    const Node reparsed = parse_yaml(written, "x", faults);
    ASSERT_TRUE(faults.empty()) << written;
    for (size_t n = 0; n < texts.size(); ++n)
      ASSERT_EQ(reparsed.find("list")->value.items[n].text, texts[n]) << written;
    ASSERT_EQ(reparsed.find("value")->value.text, texts.front()) << written;
  }
}

TEST(Yaml, survives_mutated_text) {
  const std::string seed =
      "trainer_type: x\na: &q {b: [1, 2.5, yes], 'c d': \"e\\n\"}\nf:\n  - g: |\n      text\n    "
      "h: >-\n      folded\n"
      "  - *q\n  - <<: *q\n    i: !!str 3 # note\n? j\n: k\nl: ~\n";
  std::mt19937_64 random(7);
  const std::string alphabet = ":-?[]{},&*!|>'\"%@`#\n \t<=~.0aé\\";
  size_t whole = 0;
  for (int round = 0; round < 4000; ++round) {
    std::string text = seed;
    for (uint64_t edits = 1 + random() % 6; edits > 0; --edits) {
      const size_t at = random() % (text.size() + 1);
      switch (random() % 4) {
        case 0:
          text.insert(at, 1, alphabet[random() % alphabet.size()]);
          break;
        case 1:
          text.erase(at, random() % 8);
          break;
        case 2:
          text.insert(at, text.substr(random() % text.size(), random() % 20));
          break;
        default:
          if (at < text.size()) text[at] = static_cast<char>(random());
      }
    }
    Faults faults;
    const Node node = parse_yaml(text, "a.yaml", faults);
    if (!faults.empty()) continue;
    ++whole;
    const std::string written = write_yaml(node);
    const Node reparsed = parse_yaml(written, "b.yaml", faults);
    ASSERT_EQ(faults.text(), "") << text << "\n----\n" << written;
    // NaN differs from itself; its text does not.
    ASSERT_EQ(write_yaml(to_node(to_value(reparsed))), write_yaml(to_node(to_value(node))))
        << text << "\n----\n"
        << written;
  }
  EXPECT_GT(whole, 100U);
}

Node with(const std::string& base, const std::vector<std::string>& words,
          std::string* said = nullptr) {
  Faults faults;
  Node root = parse_yaml(base, "a.yaml", faults);
  int number = 0;
  for (const std::string& word : words)
    apply_override(root, parse_override(word, ++number, faults), faults);
  if (said) {
    *said = faults.text();
  } else {
    EXPECT_EQ(faults.text(), "");
  }
  return root;
}

TEST(Overrides, set_add_and_remove_as_hydra_spells_them) {
  EXPECT_EQ(write_flow(with("a: {b: 1, c: 2}", {"a.b=3", "+a.d=x", "++e.f.g=yes", "~a.c"})),
            "{a: {b: 3, d: x}, e: {f: {g: yes}}}");
  EXPECT_EQ(write_flow(with("a: 1", {"~b", "~a.c.d", "b="})), "{a: 1, b: \"\"}");
}

TEST(Overrides, values_are_yaml_or_hydras_tight_maps) {
  const Node root = with("a: 1", {"x=[1,b,{path:/p/q:r,data_type:json}]", "y={k:'v,w',n:{m:1}}",
                                  "z=1e-4", "u=http://h:1/p"});
  EXPECT_EQ(write_flow(root),
            "{a: 1, x: [1, b, {path: /p/q:r, data_type: json}], y: {k: \"v,w\", n: {m: 1}}, z: "
            "1e-4, u: http://h:1/p}");
}

TEST(Overrides, maps_merge_and_lists_are_replaced) {
  EXPECT_EQ(write_flow(with("a: {b: 1, l: [1, 2]}", {"a={c: 2}", "a.l=[3]"})),
            "{a: {b: 1, l: [3], c: 2}}");
}

TEST(Overrides, say_what_is_wrong_with_a_word) {
  std::string said;
  with("l: [1]", {"l.0=2", "=3", "a..b=1", "~l=1", "x=[1"}, &said);
  EXPECT_EQ(
      said,
      "command line: l.0: a list is replaced whole; expected l=[...] with all its elements\n"
      "command line: '=3'; expected a key like trainer_args.learning_rate\n"
      "command line: 'a..b=1'; expected a key like trainer_args.learning_rate\n"
      "command line: '~l=1'; expected ~KEY without a value\n"
      "command line: x: '[1' is no YAML; a text with any of {}[],:?!#&*%@` in it wants quotes "
      "of its own");
}

}  // namespace
}  // namespace lmms::config
