// What config.json may say, and what is said of a wrong one.
#include "models/config_reader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "core/error.h"
#include "core/format.h"
#include "models/registry_testing.h"
#include "models/rope_config.h"
#include "models/structure.h"

namespace lmms::models {
namespace {

using nlohmann::json;
using testing::AllOf;
using testing::HasSubstr;

template <class F>
std::string message(F f) {
  try {
    f();
  } catch (const Error& e) {
    return e.what();
  }
  return "";
}

nn::RopeConfig rope(const json& config) {
  return read_rope(ConfigReader(config, "m/config.json"), 10000.0, 4096);
}

TEST(ConfigReader, takes_the_default_of_keys_that_are_absent_or_null) {
  const json config = {{"a", nullptr}, {"b", 3}};
  const ConfigReader reader(config, "m/config.json");
  EXPECT_EQ(reader.integer("a", 7), 7);
  EXPECT_EQ(reader.integer("none", 7), 7);
  EXPECT_EQ(reader.integer("b", 7), 3);
  EXPECT_TRUE(reader.stated("a"));
  EXPECT_FALSE(reader.has("a"));
  EXPECT_EQ(reader.number("b", 0), 3.0);
}

TEST(ConfigReader, names_file_key_what_was_expected_and_what_is_there) {
  const json config = {{"layers", "12"}, {"flag", 1}, {"name", 2.5}, {"eps", "x"}, {"big", 1e300}};
  const ConfigReader reader(config, "m/config.json");
  EXPECT_THAT(message([&] { reader.integer("layers", 1); }),
              AllOf(HasSubstr("m/config.json: layers: expected an integer from 1 to"),
                    HasSubstr("got \"12\""), HasSubstr("model_config.overwrite_config.layers")));
  EXPECT_THAT(message([&] { reader.integer("big", 1); }), HasSubstr("got 1e+300"));
  EXPECT_THAT(message([&] { reader.boolean("flag", true); }),
              HasSubstr("flag: expected true or false, got 1"));
  EXPECT_THAT(message([&] { reader.text("name", ""); }),
              HasSubstr("name: expected a string, got 2.5"));
  EXPECT_THAT(message([&] { reader.number("eps", 0); }),
              HasSubstr("eps: expected a number, got \"x\""));
}

TEST(ConfigReader, takes_down_the_keys_that_are_asked_for) {
  const json config = {{"a", 1}, {"inner", {{"b", 2}, {"c", 3}}}};
  KeysRead read;
  const ConfigReader reader(config, "m/config.json", &read);
  reader.integer("a", 0);
  reader.has("absent");
  EXPECT_EQ(reader.inside("inner").integer("b", 0), 2);
  EXPECT_EQ(reader.inside("nothing").integer("d", 4), 4);
  EXPECT_EQ(read, (KeysRead{"a", "absent", "inner", "inner.b", "nothing", "nothing.d"}));
  EXPECT_THAT(message([&] { reader.inside("inner").text("c", ""); }),
              AllOf(HasSubstr("m/config.json: inner: c: expected a string"),
                    HasSubstr("model_config.overwrite_config.inner.c")));
}

class ConfigFile : public testing::Test {
 protected:
  ~ConfigFile() override { std::filesystem::remove(file_); }
  /// What is said of this config in the file.
  std::string fault(const std::string& text) {
    std::ofstream(file_) << text;
    return message(
        [&] { make_structure(built_in_models(), json::parse(text), file_.string(), nullptr); });
  }
  const std::filesystem::path file_ =
      std::filesystem::path(testing::TempDir()) / fmt::format("config_{}.json", ::getpid());
};

TEST_F(ConfigFile, of_every_family_is_named_with_line_and_column_of_the_key) {
  const std::string file = file_.string();
  const auto starts = [&](const std::string& rest) { return testing::StartsWith(file + rest); };
  EXPECT_THAT(fault("{\"model_type\": \"qwen3\",\n  \"hidden_size\": \"64\"}"),
              starts(":2:3: hidden_size: expected an integer from 1 to"));
  EXPECT_THAT(fault("{\n \"model_type\": \"qwen33\"\n}"),
              AllOf(starts(":2:2: model_type: not built yet: 'qwen33'"),
                    HasSubstr("did you mean 'qwen3'?")));
  EXPECT_THAT(fault("{\"model_type\": 3}"), starts(":1:2: model_type: got 3; expected the name"));
  EXPECT_THAT(fault("{}"), starts(": model_type: is missing"));
  EXPECT_THAT(fault("{\"model_type\": \"qwen2\", \"hidden_size\": 64,\n"
                    "\t\"num_attention_heads\": 7, \"num_key_value_heads\": 7}"),
              starts(":2:2: num_attention_heads: 7 does not divide hidden_size 64"));
  EXPECT_THAT(fault("{\"model_type\": \"llama\", \"hidden_size\": 60, \"num_attention_heads\": 4}"),
              AllOf(starts(":1:"), HasSubstr("num_attention_heads: makes heads of 15; rotary "
                                             "embeddings need an even head size")));
  EXPECT_THAT(fault("{\"model_type\": \"qwen3\",\n\"rope_scaling\": {\"rope_type\": \"yarn\"}}"),
              starts(": rope_scaling.factor: is missing"));
  EXPECT_THAT(fault("{\"model_type\": \"qwen2_5_vl\", \"head_dim\": null, \"vision_config\": {\n"
                    "  \"depth\": [32]}}"),
              starts(":2:3: vision_config.depth: expected an integer"));
  EXPECT_THAT(
      fault("{\"model_type\": \"qwen2_5_vl\",\n \"rope_scaling\": {\"mrope_section\": [1, 1, "
            "1]}}"),
      starts(":2:19: rope_scaling.mrope_section: the sections must add up to half"));
  EXPECT_THAT(fault("{\"model_type\": \"qwen3_vl\", \"text_config\": {\n\"hidden_size\": 0}}"),
              starts(":2:1: text_config.hidden_size: expected an integer from 1"));
  EXPECT_THAT(fault("{\"model_type\": \"llava_onevision\", \"text_config\": {\n"
                    "\"num_attention_heads\": -2}}"),
              starts(":2:1: text_config.num_attention_heads: expected an integer from 1"));
  EXPECT_THAT(fault("{\"model_type\": \"llava_onevision\",\n\"vision_config\": [1]}"),
              starts(":2:1: vision_config: expected a map, got [1]"));
}

TEST_F(ConfigFile, that_is_no_yaml_is_named_alone) {
  EXPECT_THAT(
      fault("{\"model_type\": \"qwen3\", \"note\": \"\\ud83d\\ude00\", \"hidden_size\": 0}"),
      AllOf(HasSubstr(file_.string()), HasSubstr("hidden_size: expected an integer")));
}

TEST(ConfigReader, refuses_integers_outside_their_range) {
  const json config = {{"a", 0}, {"b", std::numeric_limits<uint64_t>::max()}};
  const ConfigReader reader(config, "m/config.json");
  EXPECT_THROW(reader.integer("a", 1), Error);
  EXPECT_EQ(reader.integer("a", 1, 0), 0);
  EXPECT_THROW(reader.integer("b", 1), Error);
}

TEST(RopeConfig, is_read_in_the_form_of_the_hub_and_of_transformers_5) {
  const json scaling = {{"type", "yarn"}, {"factor", 4.0}, {"beta_fast", 16}};
  const auto old = rope({{"rope_theta", 5e5}, {"rope_scaling", scaling}});
  EXPECT_EQ(old.kind, nn::RopeConfig::Kind::yarn);
  EXPECT_EQ(old.theta, 5e5);
  EXPECT_EQ(old.original_positions, 4096);
  EXPECT_EQ(old.beta_fast, 16);
  json parameters = scaling;
  parameters["rope_theta"] = 5e5;
  EXPECT_EQ(rope({{"rope_parameters", parameters}}), old);
}

TEST(RopeConfig, is_plain_where_nothing_is_said) {
  EXPECT_EQ(rope(json::object()), nn::RopeConfig{});
  EXPECT_EQ(rope({{"rope_scaling", nullptr}}), nn::RopeConfig{});
  EXPECT_EQ(rope({{"rope_scaling", {{"rope_type", "default"}}}}), nn::RopeConfig{});
}

TEST(RopeConfig, refuses_what_is_not_built_and_what_makes_no_sense) {
  const auto scaled = [](json scaling) {
    return message([&] { rope({{"rope_scaling", scaling}}); });
  };
  EXPECT_THAT(scaled({{"rope_type", "longrope"}, {"factor", 8}}),
              HasSubstr("m/config.json: rope_scaling: not built yet: rope_type 'longrope'"));
  EXPECT_THAT(scaled({{"rope_type", "llama3"}, {"factor", 8}}),
              HasSubstr("low_freq_factor: is missing: rope_type llama3 needs it"));
  EXPECT_THAT(scaled({{"rope_type", "llama3"},
                      {"factor", 8},
                      {"low_freq_factor", 4},
                      {"high_freq_factor", 4}}),
              HasSubstr("high_freq_factor: expected a number above low_freq_factor"));
  EXPECT_THAT(scaled(json::array({1})), HasSubstr("rope_scaling: expected a map, got [1]"));
  EXPECT_THAT(scaled({{"type", "linear"}, {"factor", 0.5}}),
              HasSubstr("factor: expected a number of at least 1"));
  EXPECT_THAT(scaled({{"type", "linear"}, {"factor", "2"}}), HasSubstr("got \"2\""));
  EXPECT_THAT(scaled({{"type", "yarn"}, {"factor", 2}, {"beta_slow", -1}}),
              HasSubstr("beta_slow must be above 0"));
  EXPECT_THAT(message([&] { rope({{"rope_theta", 1}}); }), HasSubstr("rope_theta"));
}

TEST(RopeConfig, takes_rope_scaling_before_rope_parameters) {
  const json parameters = {{"rope_type", "linear"}, {"factor", 2}, {"rope_theta", 5e5}};
  EXPECT_EQ(rope({{"rope_scaling", {{"rope_type", "default"}}}, {"rope_parameters", parameters}}),
            nn::RopeConfig{});
  for (const json& nothing : {json(), json::object()}) {
    EXPECT_EQ(rope({{"rope_scaling", nothing}, {"rope_parameters", parameters}}),
              rope({{"rope_parameters", parameters}}));
  }
}

TEST(RopeConfig, refuses_settings_of_other_families) {
  const auto of = [](json config) { return message([&] { rope(config); }); };
  EXPECT_THAT(of({{"rope_parameters", {{"sliding_attention", {{"rope_theta", 1e4}}}}}}),
              HasSubstr("rope_parameters: sliding_attention: not built"));
  EXPECT_THAT(of({{"partial_rotary_factor", 0.5}}), HasSubstr("partial_rotary_factor: not built"));
  EXPECT_THAT(of({{"rope_scaling", {{"type", "linear"}}}}), HasSubstr("factor: is missing"));
  EXPECT_THAT(of({{"rope_scaling", {{"type", "yarn"}, {"factor", 2}, {"attention_factor", 0}}}}),
              HasSubstr("attention_factor: expected a number above 0"));
  EXPECT_THAT(of({{"rope_scaling",
                   {{"type", "yarn"}, {"factor", 9}, {"mscale", -9}, {"mscale_all_dim", 1}}}}),
              HasSubstr("mscale: with mscale_all_dim"));
}

TEST(Registry, refuses_quantised_weights) {
  const json config = {{"model_type", "qwen3"}, {"quantization_config", {{"quant_method", "awq"}}}};
  EXPECT_THAT(message([&] { model_entry(config, "c"); }),
              HasSubstr("quantization_config: not built"));
}

}  // namespace
}  // namespace lmms::models
