#pragma once
/// A checkpoint that makes images: a denoiser and, where it denoises latents, its autoencoder.
#include <filesystem>
#include <optional>
#include <string>

#include "kernels/open_device.h"
#include "models/autoencoder_kl/autoencoder_kl.h"
#include "models/registry.h"
#include "step/forward_model.h"
#include "step/network.h"

namespace lmms::generate {

struct DenoiserOptions {
  std::optional<at::ScalarType> dtype;  ///< of the weights; absent: that of the checkpoint
  kernels::DeviceRequest device;
  nn::KernelSet kernels = {};
  bool average = true;  ///< the average of the weights, where the checkpoint has one
  std::string vae;      ///< the autoencoder; empty: the one that config.json names
};

struct DenoiserCheckpoint {
  std::filesystem::path folder;  ///< of the weights: that of the average, or the checkpoint's
  bool average = false;
  c10::Device device;
  step::Network network;
  std::filesystem::path vae_folder = {};
  std::optional<models::OpenAutoencoder> vae = {};
  nn::KernelSet kernels = {};

  step::ForwardModel forward() const { return {*network.model, device, kernels}; }
  const models::Denoiser& denoiser() const { return *network.model->denoiser(); }
  const models::Autoencoder* autoencoder() const { return vae ? &**vae : nullptr; }
};

/// `name`: as locate_model takes it. Throws Error: no such checkpoint, no denoiser, or no such
/// autoencoder.
DenoiserCheckpoint open_denoiser(const models::ModelRegistry& models, const std::string& name,
                                 const std::filesystem::path& hub_cache,
                                 const DenoiserOptions& options);

/// The folder of an autoencoder: a path, also one that is relative to `beside` (may be empty), or a
/// name of the hub in its local cache. Throws Error(where).
std::filesystem::path locate_autoencoder(const std::string& name,
                                         const std::filesystem::path& beside,
                                         const std::filesystem::path& hub_cache,
                                         const std::string& where);

}  // namespace lmms::generate
