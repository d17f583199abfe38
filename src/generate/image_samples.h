#pragma once
/// Images of a denoiser: from noise of a seed, over the way to data, to pixels.
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "generate/denoising.h"
#include "media/image.h"
#include "media/image_grid.h"
#include "models/autoencoder.h"
#include "step/forward_model.h"

namespace lmms::generate {

/// What is made: `per_class` images of each class, one class after another. Classes are those of
/// Denoiser::predict: Denoiser::classes() stands for "told none".
struct ImageRequest {
  std::vector<int64_t> classes;
  int64_t per_class = 1;
  /// An image depends on seed, class and its number in the class alone, whatever is made beside it.
  uint64_t seed = 0;
  int64_t batch = 16;  ///< images made together
  DenoisingOptions denoising = {};

  int64_t count() const { return per_class * static_cast<int64_t>(classes.size()); }
  int64_t class_of(int64_t image) const {
    return classes.at(static_cast<size_t>(image / per_class));
  }
};

struct ImageHooks {
  std::function<bool()> stop = [] { return false; };  ///< asked at every step
  std::function<void(double share)> progress = [](double) {};
  /// Every image as soon as it is there, in order.
  std::function<void(int64_t index, const media::Image& image)> made = [](int64_t,
                                                                          const media::Image&) {};
};

/// Throws Error if the request does not fit the denoiser (a class that it does not know, guidance
/// without class dropout). `where`: who asked.
void check_request(const models::Denoiser& denoiser, const ImageRequest& request,
                   const std::string& where);
/// Throws Error if images cannot be made of what the denoiser makes: an autoencoder of other
/// channels, or none (null) where it denoises latents.
void check_autoencoder(const models::Denoiser& denoiser, const models::Autoencoder* autoencoder,
                       const std::string& where);
/// How a grid of a request's images lies, of `side` pixels each.
media::GridOptions grid_for(const ImageRequest& request, int side);

/// The images in order; of a request that was stopped the batches that were done. `autoencoder`:
/// null where pixels are denoised.
std::vector<media::Image> make_images(const step::ForwardModel& forward,
                                      const models::Autoencoder* autoencoder,
                                      const ImageRequest& request, const ImageHooks& hooks = {});

/// What is written on a class: its text in id2label of config.json, else its number; "none" for
/// being told none.
std::vector<std::string> class_labels(const nlohmann::json& config, int64_t classes,
                                      std::span<const int64_t> asked);

/// Some or all classes of a model, of words of a command line: "3,7", "all", "none", "0-9". Throws
/// Error, naming `where`.
std::vector<int64_t> classes_from(std::span<const std::string> words,
                                  const models::Denoiser& denoiser, const std::string& where);

}  // namespace lmms::generate
