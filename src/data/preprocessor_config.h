#pragma once
/// What a section of a checkpoint's processor files says of images and videos. Keys that are absent
/// or null have the values of the class that transformers 5.17 would take; a section that no file
/// gives has nothing but those. Faults name the section and the key.
#include "data/processor_files.h"
#include "media/patches.h"
#include "media/video_patches.h"

namespace lmms::data {

/// Images as flat patches: Qwen2VLImageProcessor.
Result<media::PatchOptions> patch_options_of(const ProcessorSection& section);

/// Videos as flat patches: Qwen2VLVideoProcessor or Qwen3VLVideoProcessor, as the section names it;
/// `of_model`: where it names none. A fault for other classes.
Result<media::ClipOptions> clip_options_of(const ProcessorSection& section,
                                           std::string_view of_model);

/// Images as views: LlavaOnevisionImageProcessor, for patches of `defaults.patch`. What concerns
/// the model alone stays as in `defaults`; so does everything where no file gives the section.
Result<media::TileOptions> tile_options_of(const ProcessorSection& section,
                                           const media::TileOptions& defaults);

/// Frames of videos as views: LlavaOnevisionVideoProcessor, likewise.
Result<media::TileOptions> frame_options_of(const ProcessorSection& section,
                                            const media::TileOptions& defaults);

/// A fault where the keys of kProcessorFile itself (LlavaOnevisionProcessor) say other token counts
/// than `tiles`.
std::optional<Fault> check_llava_processor(const ProcessorFiles& files,
                                           const media::TileOptions& tiles);

/// Keys of a section that its class does not read although their names promise it; empty if none:
/// "min_pixels, max_pixels".
std::string unread_limits(const ProcessorSection& section);

}  // namespace lmms::data
