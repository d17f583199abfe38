#include "models/llava_onevision/processor.h"

#include "core/format.h"
#include "core/log.h"
#include "data/vision_chat_processor.h"
#include "models/llava_onevision/config.h"
#include "models/llava_onevision/media.h"
#include "models/llava_onevision/processor_files.h"
#include "text/jinja_text.h"

namespace lmms::models::llava_onevision {
namespace {

/// Says so where turns are not written as the template beside the tokenizer has them.
void notice_other_template(const text::Tokenizer& tokenizer) {
  const auto& jinja = tokenizer.chat_template();
  if (!jinja || jinja->find(kImageToken) != std::string::npos) return;
  log::notice(
      "the chat template beside the tokenizer knows no <image>: turns are written as "
      "LLaVA-OneVision's checkpoints have them (<|im_start|>user <image>\\n...<|im_end|>)");
}

/// The views of a processor must be those that the model counts on.
void check_views(const TileOptions& views, const TileOptions& of_model, const std::string& where) {
  if (views.tile == of_model.tile && views.pinpoints == of_model.pinpoints) return;
  throw Error(where,
              fmt::format("size {} and image_grid_pinpoints are not the model's "
                          "vision_config.image_size {} and image_grid_pinpoints",
                          views.tile, of_model.tile),
              "use the processor that belongs to the model");
}

/// Limits of pixels mean nothing where the model's views have one size.
void refuse_limits(const ProcessorSetup& setup) {
  for (const std::string_view key : kPixelLimits) {
    const auto* given = setup.extra_kwargs.find(key);
    if (given == nullptr || given->is_null()) continue;
    throw Error(
        setup.kwargs_where,
        fmt::format("{}: LLaVA-OneVision's views have one size, that of the model", key),
        "leave it out; fewer image_grid_pinpoints of model and processor make fewer tokens");
  }
}

LlavaMediaOptions media_options(const ProcessorSetup& setup) {
  if (const std::string type = setup.model.value("model_type", "?"); type != "llava_onevision") {
    throw Error(setup.type_where,
                fmt::format("llava prepares for model_type llava_onevision, not {}", type),
                "take the processor_type of the model");
  }
  const Config config = read_config(setup.model, "the model's config");
  LlavaMediaOptions options;
  options.tiles = config.tiles;
  options.tiles.patch = static_cast<int>(config.vision.patch_size);
  refuse_limits(setup);
  const data::ProcessorFiles files = read_processor_files(setup.folder);
  const data::ProcessorSection images = data::image_section(files).take();
  const data::ProcessorSection videos = data::video_section(files).take();
  const TileOptions of_model = options.tiles;
  options.tiles = tile_options_of(images, of_model).take();
  check_views(options.tiles, of_model, images.where);
  options.frames = frame_options_of(videos, of_model).take();
  check_views(options.frames, of_model, videos.where);
  if (const auto fault = check_token_counts(files, of_model)) throw Error(*fault);
  if (!images.is_given() || !videos.is_given()) {
    notice_assumed(setup.folder, images.is_given() ? "videos" : "images and videos",
                   fmt::format("views of {} pixels as the model's config has them, CLIP's mean and "
                               "deviation",
                               of_model.tile));
  }
  notice_unread_limits(images, kImageClass, "views have one size");
  options.sampling = sampling_of(setup.video);
  options.decode.apply_exif = !setup.compat.exif;
  options.tiles_in_company = setup.compat.tiles;
  const auto image = setup.tokenizer->id(kImageToken);
  if (!image) {
    throw Error(setup.folder.string(), fmt::format("the tokenizer has no {}", kImageToken),
                "use the tokenizer of a LLaVA-OneVision checkpoint");
  }
  options.image_token_id = *image;
  options.video_token_id = setup.tokenizer->id(kVideoToken).value_or(-1);
  return options;
}

std::shared_ptr<const data::Processor> make(const ProcessorSetup& setup) {
  text::ChatTemplate chat = chat_template(
      setup, turn_layout(setup.tokenizer->chat_template().value_or("")), /*media=*/true);
  return std::make_shared<data::VisionChatProcessor>(
      std::move(chat), std::make_shared<LlavaMedia>(media_options(setup)), setup.measure_pixels);
}

}  // namespace

const ProcessorEntry& processor() {
  static constexpr ProcessorEntry entry{
      .processor_type = "llava",
      .make = make,
      .notice_template = notice_other_template,
      .image_token = kImageToken,
      .frames_have_one_size = "LLaVA-OneVision's frames have the size of its tower"};
  return entry;
}

text::TurnLayout turn_layout(std::string_view jinja) {
  const std::string plain = text::with_breaks(jinja);
  const auto has = [&](std::string_view text) { return plain.find(text) != std::string::npos; };
  const bool is_llava = has("'<image>");
  text::TurnLayout layout;
  layout.behind_role = is_llava && has("message['role'] + '\n'") ? "\n" : " ";
  const bool breaks = has("'<|im_end|>' + '\n'") || has("'<|im_end|>\n'");
  layout.behind_turn = is_llava && breaks ? "\n" : "";
  layout.before_text = is_llava && !has("'\n' + content['text']") ? "" : "\n";
  layout.behind_medium = has("'<image>\n'") ? "\n" : "";
  layout.media_first = true;
  layout.default_system.reset();
  layout.trains_pads = true;
  layout.image = {kImageToken, "", ""};
  layout.video = {kVideoToken, "", ""};
  return layout;
}

}  // namespace lmms::models::llava_onevision
