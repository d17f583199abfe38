#pragma once
/// What a checkpoint's preprocessor_config.json says.
#include <nlohmann/json_fwd.hpp>
#include <string>

#include "media/patches.h"

namespace lmms::data {

/// Of images, for a tower that takes flat patches; `defaults` where a key is absent. Faults name
/// `where` and the key.
Result<media::PatchOptions> patch_options_of(const nlohmann::json& preprocessor,
                                             const std::string& where,
                                             const media::PatchOptions& defaults = {});

/// Of images, for LLaVA-OneVision: `size`, `image_grid_pinpoints`, colours and filter;
/// features_per_side follows from the patch of `defaults`.
Result<media::TileOptions> tile_options_of(const nlohmann::json& preprocessor,
                                           const std::string& where,
                                           const media::TileOptions& defaults);

}  // namespace lmms::data
