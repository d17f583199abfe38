#include "models/rope_config.h"

namespace lmms::models {

namespace {

// M-RoPE: three numbers of frequencies, or nothing.
std::vector<int64_t> read_sections(const ConfigReader& rope) {
  const nlohmann::json& value = rope.value("mrope_section");
  std::vector<int64_t> sections;
  if (value.is_null()) return sections;
  if (value.is_array() && value.size() == 3) {
    for (const nlohmann::json& n : value) {
      if (n.is_number_integer() && n.get<double>() >= 0 && n.get<double>() < 1e6)
        sections.push_back(n.get<int64_t>());
    }
  }
  if (sections.size() != 3)
    rope.fail("mrope_section",
              "expected three numbers of frequencies: time, height, width; got " + value.dump());
  return sections;
}

}  // namespace

nn::RopeConfig read_rope(const ConfigReader& config, double default_theta, int64_t max_positions) {
  // transformers' merge rule: rope_parameters, else rope_scaling, else nothing; theta inside it,
  // else beside it
  const char* key = config.has("rope_parameters") ? "rope_parameters" : "rope_scaling";
  const nlohmann::json& section = config.value(key);
  if (!section.is_null() && !section.is_object())
    config.fail(key, "expected a map, got " + section.dump());
  const nlohmann::json empty = nlohmann::json::object();
  const ConfigReader rope(section.is_null() ? empty : section, config.where() + ": " + key);

  nn::RopeConfig out;
  out.theta = rope.number("rope_theta", config.number("rope_theta", default_theta));
  if (!(out.theta > 1))
    config.fail("rope_theta", "expected a number above 1, got " + std::to_string(out.theta));
  const std::string type = rope.text("rope_type", rope.text("type", "default"));
  out.sections = read_sections(rope);
  out.interleaved = rope.boolean("mrope_interleaved", false);
  if (type == "default" || (type == "mrope" && !out.sections.empty())) return out;
  if (type != "linear" && type != "yarn")
    config.fail(key, "not built yet: rope_type '" + type + "' (default, linear, yarn are)");
  out.kind = type == "yarn" ? nn::RopeConfig::Kind::yarn : nn::RopeConfig::Kind::linear;
  out.factor = rope.number("factor", 1.0);
  if (!(out.factor >= 1))
    config.fail(key, "factor: expected a number of at least 1, got " + std::to_string(out.factor));
  if (type == "linear") return out;
  out.original_positions =
      rope.number("original_max_position_embeddings", static_cast<double>(max_positions));
  out.beta_fast = rope.number("beta_fast", 32);
  out.beta_slow = rope.number("beta_slow", 1);
  out.attention_factor = rope.number("attention_factor", 0);
  out.truncate = rope.boolean("truncate", true);
  if (!(out.original_positions > 0) || !(out.beta_fast > 0) || !(out.beta_slow > 0)) {
    config.fail(key, "original_max_position_embeddings, beta_fast and beta_slow must be above 0");
  }
  return out;
}

}  // namespace lmms::models
