#pragma once
/// What a section of a checkpoint's processor files says of images and videos that become views.
/// Keys that are absent or null have the values of the class that transformers 5.17 would take.
/// Faults name the section and the key.
#include <string_view>

#include "data/processor_files.h"
#include "models/llava_onevision/tiles.h"

namespace lmms::models::llava_onevision {

/// The classes of transformers whose preparation is built.
inline constexpr std::string_view kImageClass = "LlavaOnevisionImageProcessor",
                                  kVideoClass = "LlavaOnevisionVideoProcessor";
inline constexpr std::string_view kVideoClasses[] = {kVideoClass};

/// Images: LlavaOnevisionImageProcessor, for patches of `defaults.patch`. What concerns the model
/// alone stays as in `defaults`; so does everything where no file gives the section.
Result<TileOptions> tile_options_of(const data::ProcessorSection& section,
                                    const TileOptions& defaults);

/// Frames of videos: LlavaOnevisionVideoProcessor, likewise.
Result<TileOptions> frame_options_of(const data::ProcessorSection& section,
                                     const TileOptions& defaults);

/// A fault where the keys of processor_config.json itself (LlavaOnevisionProcessor) say other token
/// counts than `tiles`.
std::optional<Fault> check_token_counts(const data::ProcessorFiles& files,
                                        const TileOptions& tiles);

}  // namespace lmms::models::llava_onevision
