#include "models/decoder_keys.h"

namespace lmms::models {

void check_decoder_keys(const ConfigReader& config, Sight sight) {
  const std::string activation = config.text("hidden_act", "silu");
  if (activation != "silu")
    config.fail("hidden_act", "not built yet: '" + activation + "' (silu is)");
  if (config.number("attention_dropout", 0.0) != 0.0)
    config.fail("attention_dropout", "not built yet: values other than 0");
  for (const char* key : {"rms_norm_eps", "initializer_range"}) {
    if (config.number(key, 0) < 0)
      config.fail(key, "expected a number of at least 0, got " + config.value(key).dump());
  }
  if (sight == Sight::causal) {
    check_causal(config);
  } else if (config.boolean("is_causal", false)) {
    config.fail("is_causal", "this model type sees what comes later; expected false");
  }
  if (config.has("per_layer_config"))
    config.fail("per_layer_config", "not built: layers of different settings");
}

void check_causal(const ConfigReader& config) {
  if (!config.boolean("is_causal", true))
    config.fail("is_causal", "not built: attention that sees what comes later");
}

}  // namespace lmms::models
