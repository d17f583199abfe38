#pragma once
/// Denoisers that learn the way from noise to data: flow matching and diffusion on one interpolant.
/// Source: Ma et al. 2024, "SiT", section 2; Transport.training_losses of the authors'
/// transport.py.
#include <memory>

#include "objectives/objective.h"

namespace lmms::objectives {

/// The name of the reference that encodes images in the step.
inline constexpr const char* kAutoencoder = "autoencoder";

/// The mean over images of the mean over their values of weighted_error(). Path, prediction and
/// weighting are the model's (models::Denoiser::transport). Samples are those of data/latents.h;
/// images that are not encoded yet go through the autoencoder, without gradients. Throws Error for
/// a model that is no denoiser.
std::unique_ptr<Objective> interpolant(const ObjectiveSetup& setup);

ObjectiveEntry interpolant_entry();

}  // namespace lmms::objectives
