#include "generate/denoiser_checkpoint.h"

#include "checkpoint/checkpoint_dir.h"
#include "checkpoint/hf_folder.h"
#include "core/error.h"
#include "core/format.h"
#include "core/log.h"
#include "generate/image_samples.h"
#include "generate/inference.h"
#include "models/denoiser.h"
#include "step/load_network.h"
#include "step/state_files.h"

namespace lmms::generate {

namespace fs = std::filesystem;

fs::path locate_autoencoder(const std::string& name, const fs::path& beside,
                            const fs::path& hub_cache, const std::string& where) {
  if (!beside.empty() && fs::path(name).is_relative() && fs::exists(beside / name / "config.json"))
    return beside / name;
  auto folder = checkpoint::locate_checkpoint(name, hub_cache);
  if (folder) return *std::move(folder);
  throw Error(where, fmt::format("the autoencoder '{}' is not here: {}", name, folder.fault().what),
              "name its folder: --vae FOLDER of lmms sample, vae_path in the model's config");
}

DenoiserCheckpoint open_denoiser(const models::ModelRegistry& models, const std::string& name,
                                 const fs::path& hub_cache, const DenoiserOptions& options) {
  const fs::path whole = locate_model(name, hub_cache);
  const fs::path averaged = whole / step::kEmaFolder;
  const bool average = options.average && fs::exists(averaged / "config.json");
  const fs::path folder = average ? averaged : whole;
  const c10::Device device = kernels::open_device(options.device);
  DenoiserCheckpoint out{.folder = folder,
                         .average = average,
                         .device = device,
                         .network = step::load_network(models, folder, options.dtype, device),
                         .kernels = options.kernels};
  if (out.network.model->denoiser() == nullptr) {
    throw Error(folder.string(),
                fmt::format("the model ({}) makes no images: it is no denoiser",
                            out.network.model->config().value("model_type", "?")),
                "lmms generate lets a language model answer");
  }
  const std::string vae = options.vae.empty() ? out.denoiser().autoencoder_path() : options.vae;
  if (!vae.empty()) {
    const std::string where =
        options.vae.empty() ? (folder / "config.json").string() + ": vae_path" : "--vae";
    out.vae_folder = locate_autoencoder(vae, whole, hub_cache, where);
    out.vae.emplace(models::open_autoencoder(out.vae_folder, device));
  }
  check_autoencoder(out.denoiser(), out.autoencoder(), folder.string());
  return out;
}

}  // namespace lmms::generate
