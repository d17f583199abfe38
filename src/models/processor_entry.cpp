#include "models/processor_entry.h"

#include "checkpoint/json_file.h"
#include "core/format.h"
#include "core/log.h"
#include "data/chat_processor.h"
#include "data/processor_members.h"
#include "models/model.h"
#include "text/template_choice.h"

namespace lmms::models {

namespace fs = std::filesystem;

namespace {

std::shared_ptr<const data::Processor> make_chats(const ProcessorSetup& setup) {
  return std::make_shared<data::ChatProcessor>(chat_template(setup, {}, /*media=*/false));
}

std::shared_ptr<const data::Processor> make_plain_text(const ProcessorSetup& setup) {
  const config::Value* given = setup.extra_kwargs.find(kAppendEos);
  bool append_eos = false;
  if (given != nullptr && !given->is_null()) {
    const bool* flag = std::get_if<bool>(&given->data);
    if (flag == nullptr)
      throw Error(setup.kwargs_where, fmt::format("{}: expected true or false", kAppendEos));
    append_eos = *flag;
  }
  // What the tokenizer lacks for any text is said here, not by a thread that reads the first.
  text::Tokenizer::Scratch scratch;
  text::encode_plain_text(*setup.tokenizer, "", append_eos, scratch);
  return std::make_shared<data::PlainTextProcessor>(*setup.tokenizer, append_eos);
}

}  // namespace

const ProcessorEntry& chat_processor() {
  static constexpr ProcessorEntry entry{
      .processor_type = "qwen2", .make = make_chats, .notice_template = notice_template_difference};
  return entry;
}

const ProcessorEntry& plain_text_processor() {
  static constexpr ProcessorEntry entry{.processor_type = "pure_text", .make = make_plain_text};
  return entry;
}

void check_image_token(const ProcessorEntry& processor, const ProcessorEntry& own,
                       const Model& model, const std::optional<text::Tokenizer>& tokenizer,
                       const std::string& where, const std::string& fix) {
  if (processor.image_token == nullptr) return;
  const std::optional<int32_t> token = model.image_token();
  if (!token) {
    std::string advice = "take a model that sees";
    if (own.image_token == nullptr)
      advice += fmt::format(", or processor_type: {}", own.processor_type);
    throw Error(where,
                fmt::format("{} reads images, and the model, {}, has no vision tower",
                            processor.processor_type, model.config().value("model_type", "?")),
                fix.empty() ? advice : fix);
  }
  const std::optional<int32_t> of_tokenizer = tokenizer->id(processor.image_token);
  if (of_tokenizer == token) return;
  throw Error(where,
              fmt::format("the tokenizer's {} is {}, the model's image_token_id {}",
                          processor.image_token, of_tokenizer.value_or(-1), *token),
              fix.empty() ? "use the tokenizer that belongs to the model" : fix);
}

namespace {

enum class TemplateChoice : uint8_t { own_where_it_differs, checkpoint, built_in };

TemplateChoice template_choice(const ProcessorSetup& setup) {
  const config::Value* given = setup.extra_kwargs.find(kChatTemplate);
  if (given == nullptr || given->is_null())
    return setup.compat.labels ? TemplateChoice::built_in : TemplateChoice::own_where_it_differs;
  const std::string* name = std::get_if<std::string>(&given->data);
  if (name == nullptr || (*name != "builtin" && *name != "checkpoint"))
    throw Error(setup.kwargs_where,
                fmt::format("{}: expected builtin or checkpoint", kChatTemplate));
  if (*name == "builtin") return TemplateChoice::built_in;
  if (setup.compat.labels) {
    throw Error(setup.kwargs_where,
                fmt::format("{}: checkpoint: compat: [labels] are those of the built-in layout",
                            kChatTemplate),
                "leave one of them out");
  }
  return TemplateChoice::checkpoint;
}

/// The checkpoint's template, if it is to be used.
std::optional<text::ChatTemplate> own_template(const ProcessorSetup& setup,
                                               const Result<text::ChatTemplate>& built_in,
                                               const text::ChatOptions& options) {
  const TemplateChoice choice = template_choice(setup);
  if (choice == TemplateChoice::built_in) return std::nullopt;
  if (setup.tokenizer->chat_templates().empty()) {
    if (choice == TemplateChoice::own_where_it_differs) return std::nullopt;
    throw Error(setup.kwargs_where,
                fmt::format("{}: checkpoint: {} has no chat template", kChatTemplate,
                            setup.folder.string()),
                "put chat_template.jinja beside its tokenizer, or leave the argument out");
  }
  if (!setup.tokenizer->chat_template() && choice == TemplateChoice::own_where_it_differs &&
      built_in) {
    log::notice(fmt::format(
        "{}: its chat templates have other names than 'default': chats are written in the layout "
        "of the processor_type",
        setup.folder.string()));
    return std::nullopt;
  }
  auto own = text::CheckpointTemplate::create(*setup.tokenizer, setup.system);
  if (!own) {
    Fault fault = own.fault();
    if (fault.where.empty()) fault.where = setup.folder.string();
    if (fault.fix.empty())
      fault.fix = fmt::format(
          "rewrite the template, or take processor_config.extra_kwargs: "
          "{{{}: builtin}}",
          kChatTemplate);
    throw Error(std::move(fault));
  }
  const std::string& pad = options.layout.image.pad;
  if (options.media && !own->takes_images(pad)) {
    if (choice == TemplateChoice::own_where_it_differs && built_in) return std::nullopt;
    throw Error(own->where(), fmt::format("has no place '{}' for an image of a message", pad),
                "take the template of a checkpoint that sees");
  }
  const bool marks = own->marks_answers();
  auto chats = text::ChatTemplate::create(*setup.tokenizer, *std::move(own), options);
  if (choice == TemplateChoice::own_where_it_differs && !marks && built_in &&
      text::lay_out_the_same(*built_in, chats))
    return std::nullopt;
  return chats;
}

}  // namespace

text::ChatTemplate chat_template(const ProcessorSetup& setup, const text::TurnLayout& layout,
                                 bool media) {
  text::ChatOptions options;
  options.labels = setup.compat.labels ? text::LabelForm::lmms_engine : text::LabelForm::assistant;
  options.media = media;
  options.layout = layout;
  if (setup.system) options.layout.default_system = *setup.system;
  options.tools = text::tool_layout(setup.tokenizer->chat_template().value_or(""));
  // The turns into which they are written out are ChatML's.
  if (!layout.is_chatml())
    options.tools.tools = options.tools.reasoning = text::ToolLayout::Form::other;
  auto built_in = text::ChatTemplate::create(*setup.tokenizer, options);
  if (auto own = own_template(setup, built_in, options)) return *std::move(own);
  return std::move(built_in).take();
}

void notice_chat_template(const ProcessorEntry& entry, const data::Processor& processor,
                          const text::Tokenizer& tokenizer) {
  const text::ChatTemplate* chat = processor.chat_template();
  if (chat == nullptr || chat->own() == nullptr) {
    if (entry.notice_template != nullptr) entry.notice_template(tokenizer);
    return;
  }
  const text::CheckpointTemplate& own = *chat->own();
  log::notice(fmt::format(
      "chats are written by the checkpoint's own template, {}; targets are {}", own.where(),
      own.marks_answers() ? "what it marks by {% generation %}"
                          : "the assistant's turns, from where generation begins to their end"));
  for (const std::string& notice : own.notices()) log::notice(notice);
}

void notice_template_difference(const text::Tokenizer& tokenizer) {
  if (!tokenizer.chat_template()) return;
  if (const auto difference = text::describe_template_difference(*tokenizer.chat_template()))
    log::notice(*difference);
}

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

void notice_assumed(const fs::path& folder, std::string_view media, const std::string& assumed) {
  log::notice(fmt::format("{}: no {} or other processor file says how {} are prepared; assumed: {}",
                          folder.string(), data::kProcessorFile, media, assumed));
}

void notice_unread_limits(const data::ProcessorSection& section, std::string_view reader,
                          const std::string& instead) {
  if (const std::string keys = data::unread_limits(section); !keys.empty())
    log::notice(fmt::format("{}: {}: not read by {}; {}", section.where, keys, reader, instead));
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

}  // namespace lmms::models
