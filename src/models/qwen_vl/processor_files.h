#pragma once
/// What a section of a checkpoint's processor files says of images and videos that become flat
/// patches. Keys that are absent or null have the values of the class that transformers 5.17 would
/// take; a section that no file gives has nothing but those. Faults name the section and the key.
#include <string_view>

#include "data/processor_files.h"
#include "media/patches.h"
#include "media/video_patches.h"

namespace lmms::models::qwen_vl {

/// The classes of transformers whose preparation is built.
inline constexpr std::string_view kImageClass = "Qwen2VLImageProcessor",
                                  kQwen2VideoClass = "Qwen2VLVideoProcessor",
                                  kQwen3VideoClass = "Qwen3VLVideoProcessor";
inline constexpr std::string_view kVideoClasses[] = {kQwen2VideoClass, kQwen3VideoClass};

/// The class defaults of Qwen2VLVideoProcessor and Qwen3VLVideoProcessor.
media::ClipOptions qwen2_vl_clip();
media::ClipOptions qwen3_vl_clip();

/// Images: Qwen2VLImageProcessor.
Result<media::PatchOptions> patch_options_of(const data::ProcessorSection& section);

/// Videos: Qwen2VLVideoProcessor or Qwen3VLVideoProcessor, as the section names it; `of_model`:
/// where it names none. A fault for other classes.
Result<media::ClipOptions> clip_options_of(const data::ProcessorSection& section,
                                           std::string_view of_model);

}  // namespace lmms::models::qwen_vl
