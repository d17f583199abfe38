#pragma once
/// config.json of a SiT.
#include <cstdint>
#include <string>

#include "models/config_reader.h"
#include "models/denoiser.h"

namespace lmms::models::sit {

struct Config {
  LatentShape latent;
  int64_t hidden_size = 1152, depth = 28, heads = 16;
  int64_t intermediate_size = 4608;
  int64_t classes = 1000;
  double class_dropout = 0.1;
  bool learn_sigma = true;       ///< the head makes a second half, which nothing reads
  std::string autoencoder_path;  ///< empty: pixels
  TransportConfig transport;

  int64_t head_dim() const { return hidden_size / heads; }
  /// Of what the head makes.
  int64_t out_channels() const { return latent.channels * (learn_sigma ? 2 : 1); }
  /// Of the class table: one row more stands for "told none".
  int64_t class_rows() const { return classes + (class_dropout > 0 ? 1 : 0); }
};

/// Keys and defaults of SiTConfig (lmms_engine 0.1.4), whose sizes are those of SiT-XL/2. Throws
/// ConfigFault.
Config read_config(const ConfigReader& config);

}  // namespace lmms::models::sit
