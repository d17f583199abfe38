#include "train/media_setup.h"

#include "checkpoint/json_file.h"
#include "core/format.h"
#include "core/log.h"
#include "data/llava_media.h"
#include "data/preprocessor_config.h"
#include "data/processor_files.h"
#include "data/qwen_media.h"
#include "models/llava_onevision/config.h"
#include "models/qwen_vl/config.h"

namespace lmms::train {
namespace {

namespace fs = std::filesystem;

/// The files of a folder that say how its images and videos are prepared.
data::ProcessorFiles read_processor_files(const fs::path& folder) {
  const auto read = [&](const char* name) -> nlohmann::json {
    if (!fs::exists(folder / name)) return nullptr;
    return checkpoint::read_json_object(folder / name).take();
  };
  return {.folder = folder.string(),
          .processor = read(data::kProcessorFile),
          .images = read(data::kImageFile),
          .videos = read(data::kVideoFile)};
}

std::string described(const media::PatchOptions& patches) {
  return fmt::format(
      "patches of {}, {} x {} of them a token, {} to {} pixels, mean {}, deviation {}",
      patches.patch, patches.merge, patches.merge, patches.min_pixels, patches.max_pixels,
      patches.normalisation.mean[0], patches.normalisation.std[0]);
}

/// Says what is taken where no file of the folder says it.
void notice_assumed(const fs::path& folder, const char* media, const std::string& assumed) {
  log::notice(fmt::format("{}: no {} or other processor file says how {} are prepared; assumed: {}",
                          folder.string(), data::kProcessorFile, media, assumed));
}

/// Says where limits stand that do not act.
void notice_unread(const data::ProcessorSection& section, std::string_view reader,
                   const std::string& instead) {
  if (const std::string keys = data::unread_limits(section); !keys.empty())
    log::notice(fmt::format("{}: {}: not read by {}; {}", section.where, keys, reader, instead));
}

/// extra_kwargs: {image_min_pixels: ..., image_max_pixels: ...}, of `medium` ("image", "video").
void override_limits(media::PatchOptions& options, const std::string& medium,
                     const LoadedConfig& loaded) {
  const config::Value& kwargs = loaded.config.dataset.processor.extra_kwargs;
  const std::string where = loaded.where("dataset_config.processor_config.extra_kwargs");
  const auto read = [&](const char* which, int64_t& limit) {
    const std::string key = medium + which;
    const config::Value* given = kwargs.find(key);
    if (given == nullptr || given->is_null()) return;
    const auto* pixels = std::get_if<int64_t>(&given->data);
    if (pixels == nullptr || *pixels < 1)
      throw Error(where, key + ": expected a whole number >= 1");
    limit = *pixels;
  };
  const media::PatchOptions of_file = options;
  read("_min_pixels", options.min_pixels);
  read("_max_pixels", options.max_pixels);
  const bool is_given =
      options.min_pixels != of_file.min_pixels || options.max_pixels != of_file.max_pixels;
  if (is_given && options.min_pixels > options.max_pixels) {
    throw Error(where,
                fmt::format("{0}_min_pixels {1} is above {0}_max_pixels {2}", medium,
                            options.min_pixels, options.max_pixels),
                fmt::format("give both (the checkpoint's processor has {} and {})",
                            of_file.min_pixels, of_file.max_pixels));
  }
}

media::SamplingOptions sampling_of(const data::VideoConfig& c) {
  media::SamplingOptions options;
  options.strategy =
      c.sampling_strategy == "fps" ? media::Sampling::fps : media::Sampling::frame_count;
  options.fps = c.fps;
  options.max_frames = c.max_frames;
  options.frame_count = c.frame_num;
  return options;
}

/// The views of a processor must be those that the model counts on.
void check_views(const media::TileOptions& views, const media::TileOptions& of_model,
                 const std::string& where) {
  if (views.tile == of_model.tile && views.pinpoints == of_model.pinpoints) return;
  throw Error(where,
              fmt::format("size {} and image_grid_pinpoints are not the model's "
                          "vision_config.image_size {} and image_grid_pinpoints",
                          views.tile, of_model.tile),
              "use the processor that belongs to the model");
}

/// Limits of pixels mean nothing where the model's views have one size.
void refuse_limits(const LoadedConfig& loaded) {
  for (const char* key :
       {"image_min_pixels", "image_max_pixels", "video_min_pixels", "video_max_pixels"}) {
    const auto* given = loaded.config.dataset.processor.extra_kwargs.find(key);
    if (given == nullptr || given->is_null()) continue;
    throw Error(
        loaded.where("dataset_config.processor_config.extra_kwargs"),
        fmt::format("{}: LLaVA-OneVision's views have one size, that of the model", key),
        "leave it out; fewer image_grid_pinpoints of model and processor make fewer tokens");
  }
}

std::shared_ptr<const data::MediaFormat> llava_format(const LoadedConfig& loaded,
                                                      const text::Tokenizer& tokenizer,
                                                      const fs::path& folder,
                                                      const nlohmann::json& model) {
  const std::string where = loaded.where("dataset_config.processor_config.processor_type");
  if (const std::string type = model.value("model_type", "?"); type != "llava_onevision") {
    throw Error(where, fmt::format("llava prepares for model_type llava_onevision, not {}", type),
                "take the processor_type of the model");
  }
  const models::llava_onevision::Config config =
      models::llava_onevision::read_config(model, "the model's config");
  data::LlavaMediaOptions options;
  options.tiles = config.tiles;
  options.tiles.patch = static_cast<int>(config.vision.patch_size);
  refuse_limits(loaded);
  const data::ProcessorFiles files = read_processor_files(folder);
  const data::ProcessorSection images = data::image_section(files).take();
  const data::ProcessorSection videos = data::video_section(files).take();
  const media::TileOptions of_model = options.tiles;
  options.tiles = data::tile_options_of(images, of_model).take();
  check_views(options.tiles, of_model, images.where);
  options.frames = data::frame_options_of(videos, of_model).take();
  check_views(options.frames, of_model, videos.where);
  if (const auto fault = data::check_llava_processor(files, of_model)) throw Error(*fault);
  if (!images.is_given() || !videos.is_given()) {
    notice_assumed(folder, images.is_given() ? "videos" : "images and videos",
                   fmt::format("views of {} pixels as the model's config has them, CLIP's mean and "
                               "deviation",
                               of_model.tile));
  }
  notice_unread(images, data::kLlavaImageClass, "views have one size");
  options.sampling = sampling_of(loaded.config.dataset.video);
  options.decode.apply_exif = !loaded.config.compat.exif;
  options.tiles_in_company = loaded.config.compat.tiles;
  const auto image = tokenizer.id(data::kLlavaImage), video = tokenizer.id(data::kLlavaVideo);
  if (!image) {
    throw Error(folder.string(), fmt::format("the tokenizer has no {}", data::kLlavaImage),
                "use the tokenizer of a LLaVA-OneVision checkpoint");
  }
  options.image_token_id = *image;
  options.video_token_id = video.value_or(-1);
  return std::make_shared<data::LlavaMedia>(std::move(options));
}

/// Where no file says how a medium is prepared: `patches` as the class has them by itself, in the
/// sizes of the model's tower.
media::PatchOptions assumed(media::PatchOptions patches,
                            const models::qwen_vl::VisionConfig& tower) {
  patches.patch = static_cast<int>(tower.patch_size);
  patches.merge = static_cast<int>(tower.merge);
  patches.temporal = static_cast<int>(tower.temporal_patch_size);
  if (tower.generation == models::qwen_vl::Generation::qwen3)
    patches.normalisation = media::qwen3_vl_clip().patches.normalisation;
  return patches;
}

/// Patches must be those that the tower's weights take.
void check_patches(const media::PatchOptions& patches, const models::qwen_vl::VisionConfig& tower,
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

std::shared_ptr<const data::MediaFormat> qwen_format(const LoadedConfig& loaded,
                                                     const text::Tokenizer& tokenizer,
                                                     const fs::path& folder,
                                                     const nlohmann::json& model) {
  using models::qwen_vl::Generation;
  const data::DataConfig& c = loaded.config.dataset;
  const std::string& type = c.processor.processor_type;
  if (const std::string of_model = model.value("model_type", "?"); of_model != type) {
    throw Error(loaded.where("dataset_config.processor_config.processor_type"),
                fmt::format("{0} prepares for model_type {0}, not {1}", type, of_model),
                "take the processor_type of the model");
  }
  const bool third = type == "qwen3_vl";
  const Generation generation = third ? Generation::qwen3 : Generation::qwen2_5;
  const models::qwen_vl::Config config =
      models::qwen_vl::read_config(model, "the model's config", generation);
  const data::ProcessorFiles files = read_processor_files(folder);
  const data::ProcessorSection images = data::image_section(files).take();
  const data::ProcessorSection videos = data::video_section(files).take();
  const std::string_view class_of_model = third ? data::kQwen3VideoClass : data::kQwen2VideoClass;

  data::QwenMediaOptions options;
  options.patches = data::patch_options_of(images).take();
  if (!images.is_given()) {
    options.patches = assumed(options.patches, config.vision);
    notice_assumed(folder, "images", described(options.patches));
  }
  options.clip = data::clip_options_of(videos, class_of_model).take();
  media::PatchOptions& of_videos = options.clip.patches;
  if (!videos.is_given()) {
    of_videos = assumed(of_videos, config.vision);
    notice_assumed(folder, "videos", described(of_videos));
  }
  if (const std::string name = data::video_class(videos, class_of_model); name != class_of_model) {
    log::notice(
        fmt::format("{}: videos are prepared by {}, not by the model's own {}, as "
                    "transformers does",
                    videos.where, name, class_of_model));
  }
  if (options.clip.budget == media::PixelBudget::clip) {
    notice_unread(videos, data::kQwen3VideoClass,
                  fmt::format("its limits are of size, {} to {} pixels of all frames together",
                              of_videos.min_pixels, of_videos.max_pixels));
  }
  check_patches(options.patches, config.vision, images.where);
  check_patches(of_videos, config.vision, videos.where);
  override_limits(options.patches, "image", loaded);
  override_limits(of_videos, "video", loaded);

  options.clip.loader = media::FrameLimits{c.video.min_pixels, c.video.max_pixels};
  options.sampling = sampling_of(c.video);
  options.decode.apply_exif = !loaded.config.compat.exif;
  const auto pad = tokenizer.id(data::kImagePad);
  if (!pad) {
    throw Error(folder.string(), fmt::format("the tokenizer has no {}", data::kImagePad),
                "use the tokenizer of a Qwen2.5-VL checkpoint, or processor_type: qwen2");
  }
  options.positions = config.positions;
  options.positions.image_token_id = *pad;
  options.positions.video_token_id = tokenizer.id(data::kVideoPad).value_or(-1);
  return std::make_shared<data::QwenMedia>(std::move(options));
}

}  // namespace

std::shared_ptr<const data::MediaFormat> make_media_format(const LoadedConfig& loaded,
                                                           const text::Tokenizer& tokenizer,
                                                           const fs::path& folder,
                                                           const nlohmann::json& model) {
  const data::DataConfig& c = loaded.config.dataset;
  if (c.processor.processor_type == "llava") return llava_format(loaded, tokenizer, folder, model);
  return qwen_format(loaded, tokenizer, folder, model);
}

}  // namespace lmms::train
