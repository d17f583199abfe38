#include "core/format.h"
#include "models/autoencoder_kl/autoencoder_kl.h"

namespace lmms::models::autoencoder_kl {
namespace {

// A list of `count` blocks, all of the one kind that is built.
void check_blocks(const ConfigReader& config, const char* key, const char* kind, size_t count) {
  const nlohmann::json& value = config.value(key);
  if (value.is_null() && count == 1) return;  // the class default
  if (!value.is_array() || value.size() != count) {
    config.fail(key,
                fmt::format("expected a list of {} names, as many as block_out_channels; got {}",
                            count, value.dump()));
  }
  for (const nlohmann::json& name : value) {
    if (name != kind) config.fail(key, fmt::format("not built: {} ({} is)", name.dump(), kind));
  }
}

std::vector<int64_t> widths(const ConfigReader& config) {
  const nlohmann::json& value = config.value("block_out_channels");
  if (value.is_null()) return {64};
  const auto fault = [&] {
    config.fail("block_out_channels", "expected a list of 1 to 16 numbers, got " + value.dump());
  };
  if (!value.is_array() || value.empty() || value.size() > 16) fault();
  std::vector<int64_t> out;
  for (const nlohmann::json& width : value) {
    if (!width.is_number_integer() || width < 1 || width > 1 << 16) fault();
    out.push_back(width.get<int64_t>());
  }
  return out;
}

}  // namespace

Config read_config(const ConfigReader& config) {
  Config c;
  c.in_channels = config.integer("in_channels", 3, 1, 1 << 12);
  c.out_channels = config.integer("out_channels", 3, 1, 1 << 12);
  c.latent_channels = config.integer("latent_channels", 4, 1, 1 << 12);
  c.widths = widths(config);
  check_blocks(config, "down_block_types", "DownEncoderBlock2D", c.widths.size());
  check_blocks(config, "up_block_types", "UpDecoderBlock2D", c.widths.size());
  c.layers = config.integer("layers_per_block", 1, 1, 1000);
  c.groups = config.integer("norm_num_groups", 32, 1, 1 << 16);
  for (const int64_t width : c.widths) {
    if (width % c.groups != 0) {
      config.fail("norm_num_groups",
                  fmt::format("{} does not divide {} of block_out_channels", c.groups, width));
    }
  }
  const std::string activation = config.text("act_fn", "silu");
  if (activation != "silu" && activation != "swish")
    config.fail("act_fn", fmt::format("not built: '{}' (silu is)", activation));
  for (const char* key : {"latents_mean", "latents_std"}) {
    if (config.has(key)) {
      config.fail(key,
                  "not built: latents that are scaled channel by channel (null is; "
                  "scaling_factor and shift_factor count)");
    }
  }
  c.scale = config.number("scaling_factor", 0.18215);
  if (!(c.scale > 0))
    config.fail("scaling_factor", fmt::format("should be above 0, is {}", c.scale));
  c.shift = config.number("shift_factor", 0);
  c.middle_attention = config.boolean("mid_block_add_attention", true);
  c.quant = config.boolean("use_quant_conv", true);
  c.post_quant = config.boolean("use_post_quant_conv", true);
  return c;
}

}  // namespace lmms::models::autoencoder_kl
