#include <filesystem>

#include "checkpoint/hf_folder.h"
#include "checkpoint/json_file.h"
#include "core/format.h"
#include "core/log.h"
#include "models/autoencoder_kl/autoencoder_kl.h"
#include "models/tensor_io.h"

namespace lmms::models {
namespace {

namespace fs = std::filesystem;

bool is_there(const fs::path& path) {
  std::error_code none;
  return fs::exists(path, none);
}

// The folder itself, or that of the autoencoder in a pipeline's.
fs::path folder_of_autoencoder(const fs::path& folder) {
  std::error_code none;
  if (!fs::is_directory(folder, none)) {
    throw Error(folder.string(), "is no folder",
                "give the folder of an AutoencoderKL of diffusers: config.json and "
                "diffusion_pytorch_model.safetensors");
  }
  if (!is_there(folder / "config.json") && is_there(folder / "vae" / "config.json"))
    return folder / "vae";
  return folder;
}

nlohmann::json config_of(const fs::path& folder) {
  const fs::path file = folder / "config.json";
  if (!is_there(file)) {
    throw Error(folder.string(), "holds no config.json",
                "give the folder of an AutoencoderKL of diffusers, not that of single files");
  }
  nlohmann::json config = checkpoint::read_json_object(file).take();
  const auto kind = config.find("_class_name");
  if (kind == config.end() || *kind != "AutoencoderKL") {
    throw Error(file.string(),
                "_class_name: " + (kind == config.end()
                                       ? std::string("is missing; expected AutoencoderKL")
                                       : "not built: " + kind->dump() + " (\"AutoencoderKL\" is)"),
                "give the folder of Stable Diffusion's autoencoder or of one of its kin");
  }
  return config;
}

checkpoint::TensorIndex weights_of(const fs::path& folder) {
  for (const char* name : {"diffusion_pytorch_model.safetensors", "diffusion_pytorch_model.bin",
                           "model.safetensors"}) {
    if (is_there(folder / name)) return checkpoint::TensorIndex::open({folder / name}).take();
  }
  throw Error(folder.string(),
              "holds no weights: neither diffusion_pytorch_model.safetensors nor "
              "diffusion_pytorch_model.bin",
              "the folder is incomplete: copy or download it again");
}

}  // namespace

OpenAutoencoder open_autoencoder(const fs::path& given, at::Device device, at::ScalarType dtype) {
  const fs::path folder = folder_of_autoencoder(given);
  const std::string where = (folder / "config.json").string();
  OpenAutoencoder out;
  try {
    out.model = std::make_unique<autoencoder_kl::AutoencoderKl>(config_of(folder), where);
  } catch (const ConfigFault& fault) {
    const Fault at = fault.in_file(where).fault();
    throw Error(at.where, at.what, "correct the autoencoder's config, or take another one");
  }
  out.memory = nn::allocate(out.model->params(), {device, dtype, at::kFloat, /*masters=*/false});
  if (device.is_meta()) return out;
  const std::vector<std::string> unused =
      load_weights(out.model->params(), out.memory, weights_of(folder), folder.string());
  if (!unused.empty()) {
    log::notice(fmt::format("{}: {} tensors have no place in the autoencoder, {} for one",
                            folder.string(), unused.size(), unused.front()));
  }
  return out;
}

}  // namespace lmms::models
