#pragma once
/// What makes a processor (records to samples) of a checkpoint's files: one entry a
/// `processor_type`, which the family that it belongs to brings.
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "core/config/value.h"
#include "core/registry.h"
#include "data/config.h"
#include "data/processor.h"
#include "data/processor_files.h"
#include "media/patches.h"
#include "media/video_sampling.h"
#include "text/chat_template.h"
#include "text/tokenizer.h"

namespace lmms::models {

class Model;

/// What of the Python project's way with samples is asked for by name (`compat`).
struct ProcessorCompat {
  bool labels = false;  ///< control and vision tokens of every turn are trained too
  bool exif = false;    ///< images and videos are not turned as their files say
  bool tiles = false;   ///< every image is cut into tiles, not only one that is alone in its sample
};

/// All that a processor is made of.
struct ProcessorSetup {
  std::optional<text::Tokenizer> tokenizer{};  ///< there, unless the entry needs none
  std::filesystem::path folder{};     ///< of the tokenizer, where the processor's own files are too
  nlohmann::json model{};             ///< config.json of the model, to which media must fit
  std::filesystem::path hub_cache{};  ///< where other checkpoints that the model names are sought
  config::Value extra_kwargs{config::Value::Map{}};  ///< arguments of the processor, by name
  config::Value data_kwargs{config::Value::Map{}};   ///< those of the data set
  data::VideoConfig video{};
  ProcessorCompat compat{};
  /// Decode while measuring, so that what a header does not show is a fault of its record then.
  bool measure_pixels = false;
  std::optional<std::string> system{};  ///< of the turn put in front; absent: the layout's own
  /// Where the type and the arguments stand, for errors.
  std::string type_where = "dataset_config.processor_config.processor_type";
  std::string kwargs_where = "dataset_config.processor_config.extra_kwargs";
  std::string data_kwargs_where = "dataset_config.extra_kwargs";
};

struct ProcessorEntry {
  const char* processor_type;  ///< of processor_types.def, or a plugin's
  /// Throws Error: a tokenizer, processor files or a model's config that do not fit each other.
  /// What no file says is assumed, with a notice.
  std::shared_ptr<const data::Processor> (*make)(const ProcessorSetup& setup);
  /// Notices how the template beside the tokenizer departs from what is trained; nullptr: no turns.
  void (*notice_template)(const text::Tokenizer& tokenizer) = nullptr;
  /// The token whose place the features of images take; nullptr: media are not read.
  const char* image_token = nullptr;
  /// Why the limits of frames in dataset_config mean nothing; nullptr: they do.
  const char* frames_have_one_size = nullptr;
  bool needs_tokenizer = true;  ///< false: its records are no texts
  bool reads_model = false;     ///< of config.json of the model, though it has no image token
  /// What it makes samples of; the registry has that of processor_types.def for what is built in.
  data::RecordForm form = data::RecordForm::chats;
  /// Keys of extra_kwargs that it reads beside those of the program.
  std::span<const std::string_view> arguments = {};
};

/// By processor_type.
using ProcessorRegistry = Registry<ProcessorEntry>;

/// Throws Error(where, ..., fix) if the processor puts images where the model sees none, or under
/// another token than the model's. `own`: what the model's family brings. `fix`: empty: to take
/// another processor or another tokenizer.
void check_image_token(const ProcessorEntry& processor, const ProcessorEntry& own,
                       const Model& model, const std::optional<text::Tokenizer>& tokenizer,
                       const std::string& where, const std::string& fix = "");

// What the processors of families share.

/// Chats and plain text, which belong to no family alone.
const ProcessorEntry& chat_processor();
const ProcessorEntry& plain_text_processor();

/// The argument of chats that says what lays them out: "checkpoint", its own template, or
/// "builtin", the layout of the processor_type. Absent: the checkpoint's own where it differs from
/// the layout, marks answers by {% generation %}, or where the layout does not fit the tokenizer.
inline constexpr std::string_view kChatTemplate = "chat_template";

/// The template of the setup's chats. `media`: whether they may hold some; a template that has no
/// place for images leaves them to the layout. compat: [labels] is of the layout. In the layout
/// tools and reasoning are laid out for ChatML alone: in another one such chats are refused. Throws
/// Error: also what of the checkpoint's own template is not read.
text::ChatTemplate chat_template(const ProcessorSetup& setup, const text::TurnLayout& layout,
                                 bool media);
/// Says what lays chats out: the checkpoint's own template, or where it departs from the layout.
void notice_chat_template(const ProcessorEntry& entry, const data::Processor& processor,
                          const text::Tokenizer& tokenizer);
/// Notices how the ChatML template beside the tokenizer departs from the layout of training.
void notice_template_difference(const text::Tokenizer& tokenizer);

/// The files of a folder that say how its images and videos are prepared. Throws Error.
data::ProcessorFiles read_processor_files(const std::filesystem::path& folder);
/// Says what is taken where no file of the folder says how `media` ("images") are prepared.
void notice_assumed(const std::filesystem::path& folder, std::string_view media,
                    const std::string& assumed);
/// Says where limits of pixels stand in a section that its class `reader` does not read; `instead`:
/// what counts.
void notice_unread_limits(const data::ProcessorSection& section, std::string_view reader,
                          const std::string& instead);
media::SamplingOptions sampling_of(const data::VideoConfig& config);

/// The argument of plain text: whether the tokenizer's EOS ends every text.
inline constexpr std::string_view kAppendEos = "append_eos";

/// The arguments that limit pixels: of images two, of videos two.
inline constexpr std::string_view kPixelLimits[] = {"image_min_pixels", "image_max_pixels",
                                                    "video_min_pixels", "video_max_pixels"};

}  // namespace lmms::models
