#pragma once
/// What an interpolant draws for a sample of a denoiser (data/latents.h).
#include <cstdint>
#include <memory>

#include "data/draws.h"
#include "models/denoiser.h"
#include "objectives/interpolant.h"

namespace lmms::objectives {

struct InterpolantDrawingSettings {
  models::LatentShape shape = {};
  Interval times = {};       ///< uniform between them
  int64_t classes = 0;       ///< also the class of samples that are told none
  double class_dropout = 0;  ///< share of samples whose class is left out
  bool flip = true;          ///< half of the images are mirrored
};

/// Whether the image is mirrored, its latent where there is a Gaussian of it, the time
/// (Purpose::time), the noise (Purpose::noise), whether its class is left out
/// (Purpose::condition), and what an autoencoder in the step draws with (Purpose::posterior).
/// Counts data::kImages. Throws Error for a class that the model does not know.
std::shared_ptr<const data::Drawing> interpolant_drawing(
    const InterpolantDrawingSettings& settings);

}  // namespace lmms::objectives
