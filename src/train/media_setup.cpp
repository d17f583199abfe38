#include "train/media_setup.h"

#include "checkpoint/json_file.h"
#include "core/format.h"
#include "data/llava_media.h"
#include "data/preprocessor_config.h"
#include "data/qwen_media.h"
#include "models/llava_onevision/config.h"

namespace lmms::train {
namespace {

namespace fs = std::filesystem;

/// What the first of these files that is there says, over `options`.
void read_patch_options(media::PatchOptions& options, const fs::path& folder,
                        std::initializer_list<const char*> names) {
  for (const char* name : names) {
    const fs::path file = folder / name;
    if (!fs::exists(file)) continue;
    options =
        data::patch_options_of(checkpoint::read_json_object(file).take(), file.string(), options)
            .take();
    return;
  }
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
  read("_min_pixels", options.min_pixels);
  read("_max_pixels", options.max_pixels);
  if (options.min_pixels > options.max_pixels) {
    throw Error(where, fmt::format("{0}_min_pixels {1} is above {0}_max_pixels {2}", medium,
                                   options.min_pixels, options.max_pixels));
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

/// What the first of these files that is there says, over `options`; sizes must stay what the
/// model's are.
void read_tile_options(media::TileOptions& options, const fs::path& folder,
                       std::initializer_list<const char*> names) {
  for (const char* name : names) {
    const fs::path file = folder / name;
    if (!fs::exists(file)) continue;
    const media::TileOptions of_model = options;
    options =
        data::tile_options_of(checkpoint::read_json_object(file).take(), file.string(), options)
            .take();
    if (options.tile == of_model.tile && options.pinpoints == of_model.pinpoints) return;
    throw Error(file.string(),
                fmt::format("size {} and image_grid_pinpoints are not the model's "
                            "vision_config.image_size {} and image_grid_pinpoints",
                            options.tile, of_model.tile),
                "use the processor that belongs to the model");
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
  options.frames = options.tiles;
  constexpr const char* kImages = "preprocessor_config.json";
  read_tile_options(options.tiles, folder, {kImages});
  read_tile_options(options.frames, folder, {"video_preprocessor_config.json", kImages});
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

}  // namespace

std::shared_ptr<const data::MediaFormat> make_media_format(const LoadedConfig& loaded,
                                                           const text::Tokenizer& tokenizer,
                                                           const fs::path& folder,
                                                           const nlohmann::json& model) {
  const data::DataConfig& c = loaded.config.dataset;
  if (c.processor.processor_type == "llava") return llava_format(loaded, tokenizer, folder, model);
  const bool qwen3 = c.processor.processor_type == "qwen3_vl";
  data::QwenMediaOptions options;
  options.clip = qwen3 ? media::qwen3_vl_clip() : media::qwen2_vl_clip();
  if (qwen3) {
    options.patches.patch = 16;
    options.patches.normalisation.mean = options.patches.normalisation.std = {0.5, 0.5, 0.5};
  }
  constexpr const char* kImages = "preprocessor_config.json";
  read_patch_options(options.patches, folder, {kImages});
  override_limits(options.patches, "image", loaded);
  read_patch_options(options.clip.patches, folder, {"video_preprocessor_config.json", kImages});
  override_limits(options.clip.patches, "video", loaded);
  if (media::patch_values(options.clip.patches) != media::patch_values(options.patches) ||
      options.clip.patches.merge != options.patches.merge) {
    throw Error(folder.string(),
                "the patches of videos and images differ in size, and one tower takes both",
                "compare patch_size, merge_size and temporal_patch_size of its two "
                "preprocessor files");
  }
  options.clip.loader = media::FrameLimits{c.video.min_pixels, c.video.max_pixels};
  options.sampling = sampling_of(c.video);
  options.decode.apply_exif = !loaded.config.compat.exif;
  const auto pad = tokenizer.id(data::kImagePad);
  if (!pad) {
    throw Error(folder.string(), fmt::format("the tokenizer has no {}", data::kImagePad),
                "use the tokenizer of a Qwen2.5-VL checkpoint, or processor_type: qwen2");
  }
  options.positions.image_token_id = *pad;
  options.positions.video_token_id = tokenizer.id(data::kVideoPad).value_or(-1);
  options.positions.merge = options.patches.merge;
  options.positions.frames_apart = qwen3;
  if (const auto vision = model.find("vision_config"); vision != model.end())
    options.positions.tokens_per_second =
        vision->value("tokens_per_second", options.positions.tokens_per_second);
  return std::make_shared<data::QwenMedia>(std::move(options));
}

}  // namespace lmms::train
