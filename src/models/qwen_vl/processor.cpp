#include "models/qwen_vl/processor.h"

#include "core/format.h"
#include "core/log.h"
#include "data/vision_chat_processor.h"
#include "models/qwen_vl/config.h"
#include "models/qwen_vl/media.h"
#include "models/qwen_vl/processor_files.h"

namespace lmms::models::qwen_vl {
namespace {

std::string described(const media::PatchOptions& patches) {
  return fmt::format(
      "patches of {}, {} x {} of them a token, {} to {} pixels, mean {}, deviation {}",
      patches.patch, patches.merge, patches.merge, patches.min_pixels, patches.max_pixels,
      patches.normalisation.mean[0], patches.normalisation.std[0]);
}

/// extra_kwargs: {image_min_pixels: ..., image_max_pixels: ...}, of `medium` ("image", "video").
void override_limits(media::PatchOptions& options, const std::string& medium,
                     const ProcessorSetup& setup) {
  const auto read = [&](const char* which, int64_t& limit) {
    const std::string key = medium + which;
    const config::Value* given = setup.extra_kwargs.find(key);
    if (given == nullptr || given->is_null()) return;
    const auto* pixels = std::get_if<int64_t>(&given->data);
    if (pixels == nullptr || *pixels < 1)
      throw Error(setup.kwargs_where, key + ": expected a whole number >= 1");
    limit = *pixels;
  };
  const media::PatchOptions of_file = options;
  read("_min_pixels", options.min_pixels);
  read("_max_pixels", options.max_pixels);
  const bool is_given =
      options.min_pixels != of_file.min_pixels || options.max_pixels != of_file.max_pixels;
  if (is_given && options.min_pixels > options.max_pixels) {
    throw Error(setup.kwargs_where,
                fmt::format("{0}_min_pixels {1} is above {0}_max_pixels {2}", medium,
                            options.min_pixels, options.max_pixels),
                fmt::format("give both (the checkpoint's processor has {} and {})",
                            of_file.min_pixels, of_file.max_pixels));
  }
}

/// Where no file says how a medium is prepared: `patches` as the class has them by itself, in the
/// sizes of the model's tower.
media::PatchOptions assumed(media::PatchOptions patches, const VisionConfig& tower) {
  patches.patch = static_cast<int>(tower.patch_size);
  patches.merge = static_cast<int>(tower.merge);
  patches.temporal = static_cast<int>(tower.temporal_patch_size);
  if (tower.generation == Generation::qwen3)
    patches.normalisation = qwen3_vl_clip().patches.normalisation;
  return patches;
}

/// Patches must be those that the tower's weights take.
void check_patches(const media::PatchOptions& patches, const VisionConfig& tower,
                   const std::string& where) {
  if (patches.patch == tower.patch_size && patches.merge == tower.merge &&
      patches.temporal == tower.temporal_patch_size)
    return;
  throw Error(where,
              fmt::format("patch_size {}, merge_size {} and temporal_patch_size {} are not the "
                          "model's {}, {} and {} (vision_config)",
                          patches.patch, patches.merge, patches.temporal, tower.patch_size,
                          tower.merge, tower.temporal_patch_size),
              "use the processor that belongs to the model; where the keys are absent, the values "
              "of the class count");
}

/// Patches of images and videos, as the folder's files, the arguments of the config and the model
/// have them.
void read_patches(QwenMediaOptions& options, const Config& config, Generation generation,
                  const ProcessorSetup& setup) {
  const data::ProcessorFiles files = read_processor_files(setup.folder);
  const data::ProcessorSection images = data::image_section(files).take();
  const data::ProcessorSection videos = data::video_section(files).take();
  const std::string_view class_of_model =
      generation == Generation::qwen3 ? kQwen3VideoClass : kQwen2VideoClass;
  options.patches = patch_options_of(images).take();
  if (!images.is_given()) {
    options.patches = assumed(options.patches, config.vision);
    notice_assumed(setup.folder, "images", described(options.patches));
  }
  options.clip = clip_options_of(videos, class_of_model).take();
  media::PatchOptions& of_videos = options.clip.patches;
  if (!videos.is_given()) {
    of_videos = assumed(of_videos, config.vision);
    notice_assumed(setup.folder, "videos", described(of_videos));
  }
  if (const std::string name = data::video_class(videos, class_of_model, kVideoClasses);
      name != class_of_model) {
    log::notice(
        fmt::format("{}: videos are prepared by {}, not by the model's own {}, as "
                    "transformers does",
                    videos.where, name, class_of_model));
  }
  if (options.clip.budget == media::PixelBudget::clip) {
    notice_unread_limits(
        videos, kQwen3VideoClass,
        fmt::format("its limits are of size, {} to {} pixels of all frames together",
                    of_videos.min_pixels, of_videos.max_pixels));
  }
  check_patches(options.patches, config.vision, images.where);
  check_patches(of_videos, config.vision, videos.where);
  override_limits(options.patches, "image", setup);
  override_limits(of_videos, "video", setup);
}

QwenMediaOptions media_options(const ProcessorSetup& setup, const char* model_type,
                               Generation generation) {
  if (const std::string of_model = setup.model.value("model_type", "?"); of_model != model_type) {
    throw Error(setup.type_where,
                fmt::format("{0} prepares for model_type {0}, not {1}", model_type, of_model),
                "take the processor_type of the model");
  }
  const Config config = read_config(setup.model, "the model's config", generation);
  QwenMediaOptions options;
  read_patches(options, config, generation, setup);
  options.clip.loader = media::FrameLimits{setup.video.min_pixels, setup.video.max_pixels};
  options.sampling = sampling_of(setup.video);
  options.decode.apply_exif = !setup.compat.exif;
  const auto pad = setup.tokenizer->id(kImagePad);
  if (!pad) {
    throw Error(setup.folder.string(), fmt::format("the tokenizer has no {}", kImagePad),
                "use the tokenizer of a Qwen2.5-VL checkpoint, or processor_type: qwen2");
  }
  options.positions = config.positions;
  options.positions.image_token_id = *pad;
  options.positions.video_token_id = setup.tokenizer->id(kVideoPad).value_or(-1);
  return options;
}

std::shared_ptr<const data::Processor> make(const ProcessorSetup& setup, const char* model_type,
                                            Generation generation) {
  text::ChatTemplate chat = chat_template(setup, {}, /*media=*/true);
  return std::make_shared<data::VisionChatProcessor>(
      std::move(chat), std::make_shared<QwenMedia>(media_options(setup, model_type, generation)),
      setup.measure_pixels);
}

constexpr const char *kQwen2_5 = "qwen2_5_vl", *kQwen3 = "qwen3_vl";

}  // namespace

const ProcessorEntry& qwen2_5_processor() {
  static constexpr ProcessorEntry entry{
      .processor_type = kQwen2_5,
      .make = [](const ProcessorSetup& s) { return make(s, kQwen2_5, Generation::qwen2_5); },
      .notice_template = notice_template_difference,
      .image_token = kImagePad};
  return entry;
}

const ProcessorEntry& qwen3_processor() {
  static constexpr ProcessorEntry entry{
      .processor_type = kQwen3,
      .make = [](const ProcessorSetup& s) { return make(s, kQwen3, Generation::qwen3); },
      .notice_template = notice_template_difference,
      .image_token = kImagePad};
  return entry;
}

}  // namespace lmms::models::qwen_vl
