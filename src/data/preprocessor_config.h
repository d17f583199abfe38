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

}  // namespace lmms::data
