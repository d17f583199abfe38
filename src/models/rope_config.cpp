#include "models/rope_config.h"

#include <cmath>

#include "core/format.h"
#include "core/log.h"

namespace lmms::models {

namespace {

using nlohmann::json;

constexpr const char* kScaling = "rope_scaling";
constexpr const char* kParameters = "rope_parameters";

// M-RoPE: three numbers of frequencies, or nothing.
std::vector<int64_t> read_sections(const ConfigReader& rope) {
  const json& value = rope.value("mrope_section");
  std::vector<int64_t> sections;
  if (value.is_null()) return sections;
  if (value.is_array() && value.size() == 3) {
    for (const json& n : value) {
      if (n.is_number_integer() && n.get<double>() >= 0 && n.get<double>() < 1e6)
        sections.push_back(n.get<int64_t>());
    }
  }
  if (sections.size() != 3)
    rope.fail("mrope_section",
              "expected three numbers of frequencies: time, height, width; got " + value.dump());
  return sections;
}

// A rotation of a part of each head, and one for each kind of layer: of other families.
void refuse_other_families(const ConfigReader& config, const ConfigReader& rope,
                           const json& section) {
  constexpr const char* kPartial = "partial_rotary_factor";
  for (const ConfigReader* reader : {&rope, &config}) {
    if (reader->number(kPartial, 1.0) != 1.0) reader->fail(kPartial, "not built: only 1 is");
  }
  for (const auto& [name, value] : section.items()) {
    if (value.is_object())
      rope.fail(name, "not built: rotary settings of their own for a kind of layers");
  }
}

// How far YaRN and linear scaling stretch; as in transformers the key must be there, and YaRN takes
// null for the ratio of the contexts.
double read_factor(const ConfigReader& rope, double otherwise) {
  if (!rope.stated("factor")) rope.fail("factor", "is missing: how far the context is stretched");
  const double factor = rope.number("factor", otherwise);
  if (!(factor >= 1)) {
    rope.fail("factor", "expected a number of at least 1, got " + rope.value("factor").dump());
  }
  return factor;
}

// The factor of cos and sin; 0: YaRN's own.
double read_attention_factor(const ConfigReader& rope, double factor) {
  if (rope.has("attention_factor")) {
    const double given = rope.number("attention_factor", 0);
    if (!(given > 0))
      rope.fail("attention_factor", "expected a number above 0, got " + std::to_string(given));
    return given;
  }
  const double part = rope.number("mscale", 0), all = rope.number("mscale_all_dim", 0);
  if (part == 0 || all == 0) return 0;  // one alone changes nothing
  if (factor <= 1) return 1;
  const double ratio = (0.1 * part * std::log(factor) + 1) / (0.1 * all * std::log(factor) + 1);
  if (!(ratio > 0) || !std::isfinite(ratio))
    rope.fail("mscale", "with mscale_all_dim it makes an attention factor of " +
                            std::to_string(ratio) + "; above 0 is wanted");
  return ratio;
}

// Positions of the pretraining: as in transformers, beside the section it wins over inside.
double read_original_positions(const ConfigReader& config, const ConfigReader& rope,
                               int64_t max_positions) {
  constexpr const char* kOriginal = "original_max_position_embeddings";
  const ConfigReader& reader = config.has(kOriginal) ? config : rope;
  return reader.number(kOriginal, static_cast<double>(max_positions));
}

void read_yarn(const ConfigReader& config, const ConfigReader& rope, int64_t max_positions,
               nn::RopeConfig& out) {
  out.kind = nn::RopeConfig::Kind::yarn;
  out.original_positions = read_original_positions(config, rope, max_positions);
  out.factor = read_factor(rope, static_cast<double>(max_positions) / out.original_positions);
  out.attention_factor = read_attention_factor(rope, out.factor);
  const double fast = rope.number("beta_fast", 0), slow = rope.number("beta_slow", 0);
  if (fast != 0) out.beta_fast = fast;  // 0 is the default in transformers
  if (slow != 0) out.beta_slow = slow;
  out.truncate = rope.boolean("truncate", true);
  if (!(out.original_positions > 0) || !(out.beta_fast > 0) || !(out.beta_slow > 0)) {
    config.fail(rope_key(config.whole()),
                "original_max_position_embeddings, beta_fast and beta_slow must be above 0");
  }
}

void read_llama3(const ConfigReader& config, const ConfigReader& rope, int64_t max_positions,
                 nn::RopeConfig& out) {
  out.kind = nn::RopeConfig::Kind::llama3;
  out.original_positions = read_original_positions(config, rope, max_positions);
  out.factor = read_factor(rope, 0);
  for (const auto& [key, value] : {std::pair{"low_freq_factor", &out.low_freq_factor},
                                   std::pair{"high_freq_factor", &out.high_freq_factor}}) {
    if (!rope.has(key)) rope.fail(key, "is missing: rope_type llama3 needs it");
    *value = rope.number(key, 0);
    if (!(*value > 0)) rope.fail(key, "expected a number above 0");
  }
  if (!(out.high_freq_factor > out.low_freq_factor))
    rope.fail("high_freq_factor", "expected a number above low_freq_factor");
  if (!(out.original_positions > 0)) {
    config.fail(rope_key(config.whole()), "original_max_position_embeddings must be above 0");
  }
}

void warn_of_lost_theta(const ConfigReader& config, double theta) {
  const json beside = config.whole().value(kParameters, json());
  const json lost = beside.is_object() ? beside.value("rope_theta", json()) : json();
  if (lost.is_null() || lost == theta) return;
  log::warn_once(fmt::format(
      "{}: rope_scaling takes the place of rope_parameters, as in transformers: rope_theta is {} "
      "now, and {} was in rope_parameters. Say rope_theta in rope_scaling to settle it",
      config.where(), theta, lost.dump()));
}

}  // namespace

const char* rope_key(const json& config) {
  const auto found = config.find(kScaling);
  const bool says_something = found != config.end() && !found->empty();
  return says_something ? kScaling : kParameters;
}

double read_rope_theta(const ConfigReader& config, double fallback) {
  const ConfigReader rope = config.inside(rope_key(config.whole()));
  const ConfigReader& reader = rope.has("rope_theta") ? rope : config;
  const double theta = reader.number("rope_theta", fallback);
  if (!(theta > 1))
    reader.fail("rope_theta", "expected a number above 1, got " + std::to_string(theta));
  return theta;
}

nn::RopeConfig read_rope(const ConfigReader& config, double default_theta, int64_t max_positions) {
  const char* key = rope_key(config.whole());
  const ConfigReader rope = config.inside(key);
  refuse_other_families(config, rope, config.section(key));

  nn::RopeConfig out;
  out.theta = read_rope_theta(config, default_theta);
  if (key == kScaling) warn_of_lost_theta(config, out.theta);
  const std::string type =
      rope.has("rope_type") ? rope.text("rope_type", "") : rope.text("type", "default");
  out.sections = read_sections(rope);
  out.interleaved = rope.boolean("mrope_interleaved", false);
  if (type == "default" || (type == "mrope" && !out.sections.empty())) return out;
  if (type == "linear") {
    out.kind = nn::RopeConfig::Kind::linear;
    out.factor = read_factor(rope, 0);
  } else if (type == "yarn") {
    read_yarn(config, rope, max_positions, out);
  } else if (type == "llama3") {
    read_llama3(config, rope, max_positions, out);
  } else {
    config.fail(key, "not built yet: rope_type '" + type + "' (default, linear, yarn, llama3 are)");
  }
  return out;
}

void check_rope(const ConfigReader& config, const nn::RopeConfig& rope, int64_t head_dim) {
  if (head_dim % 2 != 0) {
    config.fail(
        config.has("head_dim") ? "head_dim" : "num_attention_heads",
        fmt::format("makes heads of {}; rotary embeddings need an even head size", head_dim));
  }
  int64_t sum = 0;
  for (const int64_t n : rope.sections) sum += n;
  if (rope.sections.empty() || sum == head_dim / 2) return;
  config.inside(rope_key(config.whole()))
      .fail("mrope_section", fmt::format("the sections must add up to half the head size, {}; they "
                                         "add up to {}",
                                         head_dim / 2, sum));
}

}  // namespace lmms::models
