#include "core/config/schema.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <array>
#include <filesystem>
#include <fstream>

#include "core/config/yaml.h"
#include "core/error.h"

namespace lmms::config {
namespace {

enum class Mode { no, automatic };
std::span<const EnumName<Mode>> enum_names(Mode) {
  static constexpr EnumName<Mode> list[] = {{Mode::no, "no"}, {Mode::automatic, "auto"}};
  return list;
}

struct Part {
  std::string name;
  double weight = 1;
};
void fields(Fields& f, Part& c) {
  f("name", c.name, "the name", Rule().required());
  f("weight", c.weight, "the weight", Rule().more_than(0));
}

constexpr std::array kKinds = {Name{"adamw", Built::built, "ours"}, Name{"muon", Built::later, ""}};

struct Inner {
  bool shuffle = true;
  std::optional<int64_t> limit;
  std::vector<Part> parts;
};
void fields(Fields& f, Inner& c) {
  f("shuffle", c.shuffle, "a new order");
  f("limit", c.limit, "most of them", Rule().at_least(1));
  f("parts", c.parts, "a mixture");
}

struct Outer {
  std::string kind = "adamw";
  double rate = 0.5;
  int64_t count = 3;
  Mode mode = Mode::no;
  std::vector<std::string> tags;
  Value free;
  Inner inner;
  std::string folder;
  std::map<std::string, Value> layout;
};
void fields(Fields& f, Outer& c) {
  f("kind", c.kind, "the kind | of it", Rule().one_of(kKinds));
  f("rate", c.rate, "a share", Rule().at_least(0).less_than(1));
  f("count", c.count, "how many", Rule().at_least(0).or_null());
  f("mode", c.mode, "when");
  f("tags", c.tags, "words", Rule().single_or_list());
  f("free", c.free, "anything", Rule().keys({"alpha", "beta"}));
  f("inner", c.inner, "a section");
  f.alias("inside", "inner");
  f("folder", c.folder, "a place", Rule().path());
  f.layout("kernel", c.layout, Type::boolean, "a kernel");
  f.layout("shards", c.layout, Type::map, "a layout",
           Rule().or_file().optional_prefix("fsdp_").keys({"wrap", "size"}));
  f.ignored("old", "it is gone");
  f.usual("old", {"-1", "{a: true}"});
  f.unbuilt("reinforcement", Type::any, {}, "rewards");
  f.unbuilt("tensor_parallel", Type::integer, {"1"}, "ranks");
}

struct Outcome {
  Outer value;
  Record record;
  std::string faults;
};

constexpr std::array kLater = {Name{"lora_*", Built::later, "LoRA"},
                               Name{"use_lora", Built::later, "LoRA"}};

Outcome read(const std::string& text) {
  Outcome outcome;
  Faults faults;
  const Node root = parse_yaml(text, "a.yaml", faults);
  Fields list;
  fields(list, outcome.value);
  outcome.record = read_config(root, list, faults, {.home = "/users/me", .later = kLater});
  outcome.faults = faults.text();
  return outcome;
}

TEST(Schema, reads_every_type) {
  const Outcome out = read(
      "kind: adamw\nrate: 1e-3\ncount: '12'\nmode: auto\ntags: [a, 1, yes]\nfree: {alpha: {x: "
      "1}}\nkernel: on\n"
      "inner: {shuffle: no, limit: 4, parts: [{name: p, weight: 2}, {name: q}]}\n");
  EXPECT_EQ(out.faults, "");
  EXPECT_EQ(out.value.rate, 1e-3);
  EXPECT_EQ(out.value.count, 12);
  EXPECT_EQ(out.value.mode, Mode::automatic);
  EXPECT_EQ(out.value.tags, (std::vector<std::string>{"a", "1", "yes"}));
  EXPECT_EQ(*out.value.free.find("alpha")->find("x"), Value{int64_t{1}});
  EXPECT_FALSE(out.value.inner.shuffle);
  EXPECT_EQ(out.value.inner.limit, 4);
  ASSERT_EQ(out.value.inner.parts.size(), 2U);
  EXPECT_EQ(out.value.inner.parts[0].weight, 2);
  EXPECT_EQ(out.value.inner.parts[1].name, "q");
  EXPECT_EQ(out.value.layout.at("kernel"), Value{true});
}

TEST(Schema, takes_the_json_text_of_a_map_wherever_one_is_wanted) {
  const Outcome out = read(
      "free: '{\"alpha\": {\"x\": 1}}'\n"
      "inner: '{\"limit\": 4, \"parts\": [{\"name\": \"p\"}]}'\n"
      "shards: '{\"size\": true, \"fsdp_wrap\": [\"a\"]}'\n");
  EXPECT_EQ(out.faults, "");
  EXPECT_EQ(*out.value.free.find("alpha")->find("x"), Value{int64_t{1}});
  EXPECT_EQ(out.value.inner.limit, 4);
  EXPECT_EQ(out.value.inner.parts.at(0).name, "p");
  EXPECT_EQ(*out.value.layout.at("shards").find("size"), Value{true});
  EXPECT_EQ(*read("shards: '{\"size\": false}'\n").value.layout.at("shards").find("size"),
            Value{false});
  EXPECT_EQ(out.record.given_at.at("inner.parts[0].name").text(), "a.yaml:2:8");
  EXPECT_EQ(read("inner: '{\"limt\": 4}'\nfree: '{\"alpa\": 1}'\nshards: '{\"wrp\": 1}'\n").faults,
            "a.yaml:1:8: inner.limt: unknown key; did you mean 'limit'?\n"
            "a.yaml:2:7: free.alpa: unknown key; did you mean 'alpha'?\n"
            "a.yaml:3:9: shards.wrp: unknown key; did you mean 'wrap'?");
  EXPECT_EQ(
      read("inner: '{\"limit\": 4'\nfree: '{'\nshards: '[1]'\n").faults,
      "a.yaml:1:8: inner: got '{\"limit\": 4'; expected a map, or one as JSON text\n"
      "a.yaml:2:7: free: got '{'; expected a map, or one as JSON text\n"
      "a.yaml:3:9: shards: '[1]' cannot be opened: No such file or directory; expected a map, "
      "or the path of a JSON file");
  EXPECT_EQ(read("inner: some text\n").faults,
            "a.yaml:1:8: inner: got 'some text'; expected a map");
}

TEST(Schema, reads_a_map_from_the_file_that_a_text_names) {
  const std::filesystem::path folder =
      std::filesystem::path(testing::TempDir()) / ("schema_" + std::to_string(::getpid()));
  std::filesystem::create_directories(folder);
  const auto given = [&](const std::string& text) {
    std::ofstream(folder / "shards.json") << text;
    return read("shards: " + (folder / "shards.json").string() + "\n");
  };
  const Outcome out = given("{\n  \"size\": 2\n}\n");
  EXPECT_EQ(out.faults, "");
  EXPECT_EQ(*out.value.layout.at("shards").find("size"), Value{int64_t{2}});
  EXPECT_EQ(
      given("{\n  \"sise\": 2\n}\n").faults,
      (folder / "shards.json").string() + ":2:3: shards.sise: unknown key; did you mean 'size'?");
  EXPECT_TRUE(given("[1, 2]").faults.ends_with("holds no map; expected a JSON file of one"));
  EXPECT_NE(given("{").faults, "");
  EXPECT_EQ(read("shards: " + (folder / "shads.json").string() + "\n").faults,
            "a.yaml:1:9: shards: '" + (folder / "shads.json").string() +
                "' cannot be opened: No such file or directory; did you mean '" +
                (folder / "shards.json").string() + "'?");
  EXPECT_EQ(
      read("shards: ~nobody_of_that_name/x.json\n").faults,
      "a.yaml:1:9: shards: '~nobody_of_that_name/x.json': there is no user "
      "'nobody_of_that_name'; expected the whole path, or ./~nobody_of_that_name/x.json for a "
      "folder of that name");
  for (const char* nothing : {"''", "null", "{}", "false"})
    EXPECT_EQ(read(std::string("shards: ") + nothing + "\n").faults, "") << nothing;
  std::filesystem::remove_all(folder);
}

TEST(Schema, puts_the_home_folder_in_front_of_paths_alone) {
  const Outcome out = read("folder: ~/out\nkind: adamw\n");
  EXPECT_EQ(out.faults, "");
  EXPECT_EQ(out.value.folder, "/users/me/out");
  EXPECT_EQ(read("inner: {parts: [{name: ~/p}]}\n").value.inner.parts.at(0).name, "~/p");
  EXPECT_EQ(read("folder: ~nobody_of_that_name/x\n").faults,
            "a.yaml:1:9: folder: '~nobody_of_that_name/x': there is no user 'nobody_of_that_name'; "
            "expected the whole path, or ./~nobody_of_that_name/x for a folder of that name");
}

TEST(Schema, tells_what_is_not_built_from_what_is_unknown) {
  EXPECT_EQ(read("lora_r: 8\ninner: {lora_alpha: 16}\nfree: {use_lora: true}\n").faults,
            "a.yaml:1:1: not built yet: lora_r=8 (LoRA); leave it out\n"
            "a.yaml:2:9: not built yet: inner.lora_alpha=16 (LoRA); leave it out\n"
            "a.yaml:3:8: not built yet: free.use_lora=true (LoRA); leave it out");
  EXPECT_EQ(read("use_lora: false\nlora_target: null\ninner: {lora_modules: []}\n").faults, "");
  EXPECT_EQ(read("reinforcement: {a: [1], b: 2}\n").faults,
            "a.yaml:1:16: not built yet: reinforcement={a: [1], b: 2} (rewards); leave it out");
  for (const char* nothing : {"null", "{}", "false", "[]", "''", "{a: null, b: {c: []}, d: false}"})
    EXPECT_EQ(read(std::string("reinforcement: ") + nothing + "\n").faults, "") << nothing;
}

TEST(Schema, takes_the_boolean_that_yaml_makes_of_a_name) {
  EXPECT_EQ(read("mode: false\n").faults, "");
  EXPECT_EQ(read("mode: no\n").faults, "");
  EXPECT_EQ(read("mode: yes\n").faults, "a.yaml:1:7: mode: got 'yes'; expected one of no, auto");
}

TEST(Schema, null_empties_an_optional_and_leaves_a_nullable_at_its_default) {
  const Outcome out = read("count: null\ninner: {limit: ~}\n");
  EXPECT_EQ(out.faults, "");
  EXPECT_EQ(out.value.count, 3);
  EXPECT_FALSE(out.value.inner.limit.has_value());
  EXPECT_EQ(read("rate:\n").faults,
            "a.yaml:1:1: rate: got nothing (null); expected a number in [0, 1)");
}

TEST(Schema, remembers_where_each_key_stands) {
  const Outcome out = read("inside:\n  parts:\n    - {name: p}\nfree: {alpha: {x: 1}}\n");
  EXPECT_EQ(out.record.given_at.at("inner.parts[0].name").text(), "a.yaml:3:8");
  EXPECT_EQ(out.record.given_at.at("free.alpha.x").text(), "a.yaml:4:16");
}

TEST(Schema, reports_all_faults_in_the_order_of_the_file) {
  EXPECT_EQ(read("rate: 1\n"
                 "tensor_parallel: 2\n"
                 "inner:\n"
                 "  shufle: true\n"
                 "  limit: 0\n"
                 "  parts:\n"
                 "    - {weight: x}\n"
                 "    - 3\n"
                 "  zzzzzz: 1\n"
                 "kind: muon\n"
                 "count: 1.5\n"
                 "mode: [a]\n"
                 "tags: {a: 1}\n"
                 "free: {alpa: 1}\n"
                 "kernel: 3\n"
                 "shuffle: true\n"
                 "zzzzzz: 1\n")
                .faults,
            "a.yaml:1:7: rate: got '1'; expected a number in [0, 1)\n"
            "a.yaml:2:18: not built yet: tensor_parallel=2; expected 1\n"
            "a.yaml:4:3: inner.shufle: unknown key; did you mean 'shuffle'?\n"
            "a.yaml:5:10: inner.limit: got '0'; expected a whole number >= 1\n"
            "a.yaml:7:7: inner.parts[0].name: missing; expected text\n"
            "a.yaml:7:16: inner.parts[0].weight: got 'x'; expected a number > 0\n"
            "a.yaml:8:7: inner.parts[1]: got '3'; expected a map\n"
            "a.yaml:9:3: inner.zzzzzz: unknown key; expected one of shuffle, limit, parts\n"
            "a.yaml:10:7: not built yet: kind=muon; expected one of adamw\n"
            "a.yaml:11:8: count: got '1.5'; expected a whole number >= 0\n"
            "a.yaml:12:7: mode: got a list; expected one of no, auto\n"
            "a.yaml:13:7: tags: got a map; expected text, or a list of them\n"
            "a.yaml:14:8: free.alpa: unknown key; did you mean 'alpha'?\n"
            "a.yaml:15:9: kernel: got '3'; expected true or false\n"
            "a.yaml:16:1: shuffle: unknown key here; did you mean 'inner.shuffle'?\n"
            "a.yaml:17:1: zzzzzz: unknown key; lmms train --help lists all");
}

TEST(Schema, refuses_a_field_given_by_both_its_names) {
  EXPECT_EQ(read("inner: {}\ninside: {}\n").faults,
            "a.yaml:2:1: inside: given twice, also as 'inner'; expected one");
}

TEST(Schema, refuses_numbers_that_are_not_finite_or_do_not_fit) {
  EXPECT_EQ(read("rate: .nan\n").faults,
            "a.yaml:1:7: rate: got '.nan'; expected a number in [0, 1)");
  EXPECT_EQ(read("count: 99999999999999999999\n").faults,
            "a.yaml:1:8: count: got '99999999999999999999'; expected a whole number >= 0");
}

TEST(Schema, cuts_a_long_value_in_a_message_between_characters) {
  std::string text(59, 'a');
  for (int i = 0; i < 20; ++i) text += "\xc3\xa4";
  EXPECT_EQ(read("rate: " + text + "\n").faults,
            "a.yaml:1:7: rate: got '" + std::string(59, 'a') + "...'; expected a number in [0, 1)");
}

TEST(Schema, shows_a_hundred_faults_and_counts_the_rest) {
  Faults faults;
  for (int i = 0; i < 103; ++i) faults.add({}, "k", "w");
  EXPECT_TRUE(faults.text().ends_with("k: w\nand 3 more faults"));
  try {
    faults.throw_if_any();
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.exit(), Exit::bad_input);
  }
}

TEST(Schema, names_ignored_keys_with_the_reason) {
  const Outcome out = read("old: {what: ever}\n");
  EXPECT_EQ(out.faults, "");
  EXPECT_EQ(out.record.ignored, (std::vector<std::string>{"old (it is gone)"}));
  for (const char* usual : {"old: -1\n", "old: {a: true}\n", "old: null\n"})
    EXPECT_TRUE(read(usual).record.ignored.empty()) << usual;
  EXPECT_EQ(read("old: 1\n").record.ignored.size(), 1U);
}

TEST(Schema, writes_what_it_reads) {
  Outcome out = read(
      "rate: 0.25\nmode: auto\ntags: a\nfree: {beta: [1, x]}\ninner: {parts: [{name: "
      "'no'}]}\nkernel: no\n");
  Fields list;
  fields(list, out.value);
  const std::string text = write_yaml(write_config(list));
  EXPECT_EQ(text,
            "kind: adamw\nrate: 0.25\ncount: 3\nmode: auto\ntags: [a]\nfree:\n  beta: [1, x]\n"
            "inner:\n  shuffle: true\n  limit: null\n  parts:\n    - name: \"no\"\n      weight: "
            "1.0\nfolder: \"\"\nkernel: false\n");
  Outcome second = read(text);
  EXPECT_EQ(second.faults, "");
  Fields other;
  fields(other, second.value);
  EXPECT_EQ(differences(other, list), std::vector<std::string>{});
}

TEST(Schema, tells_what_differs_from_the_defaults) {
  Outcome out = read("rate: 0.25\ninner: {limit: 2}\nkernel: yes\n");
  Outer preset;
  Fields list;
  Fields presets;
  fields(list, out.value);
  fields(presets, preset);
  EXPECT_EQ(differences(list, presets),
            (std::vector<std::string>{"rate: 0.25", "inner.limit: 2", "kernel: true"}));
}

TEST(Schema, help_and_tables_come_from_the_same_list) {
  Outer preset;
  Fields list;
  fields(list, preset);
  EXPECT_EQ(help_text(field_texts(list, "inner")),
            "inner  a map\n    a section\n"
            "inner.shuffle  true or false, default true\n    a new order\n"
            "inner.limit  a whole number >= 1, or null, default null\n    most of them\n"
            "inner.parts  a list of maps\n    a mixture\n"
            "inner.parts[].name  text, required\n    the name\n"
            "inner.parts[].weight  a number > 0, default 1.0\n    the weight\n");
  const std::string tables = markdown_tables(field_texts(list));
  EXPECT_NE(tables.find("| `kind` | one of adamw | `adamw` | the kind \\| of it |\n"),
            std::string::npos)
      << tables;
  EXPECT_NE(tables.find("| `tensor_parallel` | a whole number |  | *not built yet*: ranks |\n"),
            std::string::npos);
  EXPECT_NE(tables.find("| `inner` | a map |  | a section; also spelled `inside` |\n"),
            std::string::npos);
  EXPECT_NE(tables.find("### `inner.parts[]`\n"), std::string::npos);
}

}  // namespace
}  // namespace lmms::config
