#include "models/sit/config.h"

#include <cmath>
#include <initializer_list>
#include <optional>
#include <utility>

#include "core/format.h"

namespace lmms::models::sit {
namespace {

template <class T>
using Choices = std::initializer_list<std::pair<const char*, T>>;

template <class T>
T choice(const ConfigReader& config, const char* key, const std::string& fallback,
         const Choices<T>& choices) {
  const std::string given = config.text(key, fallback);
  std::string names;
  for (const auto& [name, value] : choices) {
    if (given == name) return value;
    names += (names.empty() ? "" : ", ") + std::string(name);
  }
  config.fail(key, fmt::format("expected one of {}; got '{}'", names, given));
}

std::optional<double> epsilon(const ConfigReader& config, const char* key) {
  if (!config.has(key)) return std::nullopt;
  const double value = config.number(key, 0);
  if (!(value >= 0 && value < 0.5))
    config.fail(key, fmt::format("expected a time from 0 to below 0.5, got {}", value));
  return value;
}

TransportConfig read_transport(const ConfigReader& config) {
  TransportConfig t;
  t.path = choice<InterpolantPath>(config, "path_type", "Linear",
                                   {{"Linear", InterpolantPath::linear},
                                    {"GVP", InterpolantPath::gvp},
                                    {"VP", InterpolantPath::vp}});
  t.prediction = choice<Prediction>(config, "prediction", "velocity",
                                    {{"velocity", Prediction::velocity},
                                     {"score", Prediction::score},
                                     {"noise", Prediction::noise}});
  if (config.has("loss_weight")) {
    t.weighting = choice<LossWeighting>(
        config, "loss_weight", "velocity",
        {{"velocity", LossWeighting::velocity}, {"likelihood", LossWeighting::likelihood}});
  }
  t.train_eps = epsilon(config, "train_eps");
  t.sample_eps = epsilon(config, "sample_eps");
  return t;
}

LatentShape read_latent(const ConfigReader& config) {
  LatentShape latent;
  latent.height = latent.width = config.integer("input_size", 32, 1, 1 << 14);
  latent.patch = config.integer("patch_size", 2, 1, 1 << 10);
  if (latent.height % latent.patch != 0) {
    config.fail("input_size",
                fmt::format("{} is no multiple of patch_size {}: patches would not "
                            "cover a latent of {} x {}",
                            latent.height, latent.patch, latent.height, latent.width));
  }
  latent.channels = config.integer("in_channels", 4, 1, 1 << 12);
  return latent;
}

// The autoencoder of the released models, unless the key says otherwise; a model of other channels
// than its four denoises pixels.
std::string read_autoencoder(const ConfigReader& config, const LatentShape& latent) {
  const bool stated = config.stated("vae_path");
  const std::string given = config.text("vae_path", "");
  return stated || latent.channels != 4 ? given : "stabilityai/sd-vae-ft-ema";
}

}  // namespace

Config read_config(const ConfigReader& config) {
  Config c;
  c.latent = read_latent(config);
  c.hidden_size = config.integer("hidden_size", 1152, 1, 1 << 20);
  c.depth = config.integer("depth", 28, 1, 100000);
  c.heads = config.integer("num_heads", 16, 1, 1 << 16);
  if (c.hidden_size % c.heads != 0) {
    config.fail("num_heads", fmt::format("{} heads do not divide hidden_size {}; the sizes of the "
                                         "paper are S 384/6, B 768/12, L 1024/16, XL 1152/16",
                                         c.heads, c.hidden_size));
  }
  if (c.hidden_size % 4 != 0) {
    config.fail("hidden_size", fmt::format("{} is no multiple of 4: sines and cosines of rows and "
                                           "columns share it",
                                           c.hidden_size));
  }
  const double ratio = config.number("mlp_ratio", 4.0);
  c.intermediate_size = static_cast<int64_t>(ratio * static_cast<double>(c.hidden_size));
  if (!(ratio > 0 && ratio <= 1024) || c.intermediate_size < 1)
    config.fail("mlp_ratio", fmt::format("expected a number above 0, got {}", ratio));
  c.classes = config.integer("num_classes", 1000, 1, 1 << 24);
  c.class_dropout = config.number("class_dropout_prob", 0.1);
  if (!(c.class_dropout >= 0 && c.class_dropout <= 1)) {
    config.fail("class_dropout_prob",
                fmt::format("expected a share from 0 to 1, got {}", c.class_dropout));
  }
  c.learn_sigma = config.boolean("learn_sigma", true);
  c.autoencoder_path = read_autoencoder(config, c.latent);
  c.transport = read_transport(config);
  config.number("cfg_scale", 1.0);  // of sampling, which asks for it
  return c;
}

}  // namespace lmms::models::sit
