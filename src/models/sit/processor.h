#pragma once
/// What makes samples of images with classes, or of their latents.
#include "models/processor_entry.h"

namespace lmms::models::sit {

/// processor_type sit. The crop's size, the channels and the classes are those of the model's
/// config; columns and flips are arguments of the data set.
const ProcessorEntry& class_image_processor();

}  // namespace lmms::models::sit
