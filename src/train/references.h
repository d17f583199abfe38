#pragma once
/// The networks that an objective needs beside those that train.
#include <c10/core/Device.h>

#include <filesystem>
#include <functional>
#include <vector>

#include "objectives/objective.h"
#include "step/train_state.h"
#include "train/place.h"

namespace lmms::train {

/// Opens them on a device; on the meta device without their weights. Throws Error.
using ReferenceOpener = std::function<std::vector<step::ReferenceNetwork>(c10::Device)>;

/// Finds their folders: Error where one is not there. `beside`: the model's folder, to which a path
/// in its config may be relative; may be empty.
ReferenceOpener reference_opener(const objectives::Objective& objective,
                                 const std::filesystem::path& beside, const Place& place);

}  // namespace lmms::train
