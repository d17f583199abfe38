#pragma once
/// From a checkpoint's processor files and the config to what images and videos become.
#include <filesystem>
#include <memory>
#include <nlohmann/json_fwd.hpp>

#include "data/media_format.h"
#include "text/tokenizer.h"
#include "train/config.h"

namespace lmms::train {

/// The format of the config's processor type. `folder`: where the processor's files are
/// (data/processor_files.h); extra_kwargs go over them. `model`: the model's config.json, to which
/// they must fit. What no file says is assumed, with a notice. Throws Error.
std::shared_ptr<const data::MediaFormat> make_media_format(const LoadedConfig& loaded,
                                                           const text::Tokenizer& tokenizer,
                                                           const std::filesystem::path& folder,
                                                           const nlohmann::json& model);

}  // namespace lmms::train
