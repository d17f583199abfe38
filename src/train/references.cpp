#include "train/references.h"

#include <utility>

#include "generate/denoiser_checkpoint.h"
#include "models/autoencoder_kl/autoencoder_kl.h"

namespace lmms::train {

namespace fs = std::filesystem;

ReferenceOpener reference_opener(const objectives::Objective& objective, const fs::path& beside,
                                 const Place& place) {
  std::vector<std::pair<std::string, fs::path>> found;
  for (const objectives::Reference& reference : objective.references()) {
    found.emplace_back(reference.name,
                       generate::locate_autoencoder(reference.checkpoint, beside, place.hub_cache,
                                                    reference.where));
  }
  return [found](c10::Device device) {
    std::vector<step::ReferenceNetwork> out;
    for (const auto& [name, folder] : found) {
      models::OpenAutoencoder opened = models::open_autoencoder(folder, device);
      out.push_back({name, std::move(opened.model), std::move(opened.memory)});
    }
    return out;
  };
}

}  // namespace lmms::train
