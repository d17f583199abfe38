#pragma once
/// eval_sample: images that a denoiser makes at every evaluation, from the same noise every time.
#include <memory>

#include "models/model.h"
#include "train/config.h"
#include "train/exhibit.h"
#include "train/place.h"

namespace lmms::train {

/// Writes OUTPUT_DIR/samples/step-N.png, a grid, and tells it in a record of kind "samples", with a
/// small picture of it. The autoencoder is opened for each showing, so that it takes no memory of
/// steps. Throws Error for a model that is no denoiser, and for settings that it cannot follow.
std::unique_ptr<Exhibit> samples_exhibit(const LoadedConfig& loaded, const Place& place,
                                         const models::Model& model);

}  // namespace lmms::train
