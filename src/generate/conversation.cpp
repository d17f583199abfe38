#include "generate/conversation.h"

#include <algorithm>
#include <array>
#include <optional>
#include <span>

#include "core/error.h"
#include "core/files.h"
#include "data/json_text.h"
#include "data/source.h"
#include "media/source.h"
#include "media/video.h"

namespace lmms::generate {
namespace {

using data::Json;

std::string text_of(const data::Message& message) {
  std::string text;
  for (const data::Part& part : message.parts) text += part.text;
  return text;
}

// An image, or a video's first frame.
std::optional<media::Image> picture_of(const data::Part& part, const std::string& data_folder) {
  if (part.kind == data::Part::Kind::audio) return {};
  const auto bytes = media::read_source(part.source, data_folder);
  if (!bytes) return {};
  const auto view = std::as_bytes(std::span(*bytes));
  if (part.kind == data::Part::Kind::image) {
    auto image = media::decode(view);
    if (!image) return {};
    return *std::move(image);
  }
  constexpr std::array<int64_t, 1> kFirst = {0};
  auto frames = media::decode_frames(view, kFirst);
  if (!frames || frames->empty()) return {};
  return std::move(frames->front());
}

// Records of a JSON file: the value itself, its entries, or the conversation that it is.
std::vector<Json> records_of(Json value) {
  if (!value.is_array()) return {std::move(value)};
  const bool conversation =
      !value.empty() && std::all_of(value.begin(), value.end(), [](const Json& entry) {
        return entry.is_object() && entry.contains("role");
      });
  if (conversation) return {Json{{"messages", std::move(value)}}};
  return value.get<std::vector<Json>>();
}

}  // namespace

std::string Conversation::question() const {
  for (auto turn = messages.rbegin(); turn != messages.rend(); ++turn)
    if (turn->role != "assistant") return text_of(*turn);
  return "";
}

std::vector<const data::Part*> Conversation::media() const {
  std::vector<const data::Part*> out;
  for (const data::Message& message : messages) {
    for (const data::Part& part : message.parts)
      if (part.kind != data::Part::Kind::text) out.push_back(&part);
  }
  return out;
}

std::vector<media::Image> images_of(const Conversation& conversation, size_t most) {
  const std::string folder = conversation.data_folder ? *conversation.data_folder : "";
  std::vector<media::Image> out;
  for (const data::Part* part : conversation.media()) {
    if (out.size() == most) break;
    if (auto picture = picture_of(*part, folder)) out.push_back(*std::move(picture));
  }
  return out;
}

data::Message text_message(std::string role, std::string text) {
  return {std::move(role), {data::Part::of_text(std::move(text))}};
}

data::Part medium(data::Part::Kind kind, std::string source) {
  return {kind, "", std::move(source), nullptr};
}

data::Message user_message(std::vector<data::Part> media, std::string text) {
  data::Message message{"user", std::move(media)};
  message.parts.push_back(data::Part::of_text(std::move(text)));
  return message;
}

data::Message user_message(std::string text, const std::vector<std::string>& images) {
  std::vector<data::Part> media;
  for (const std::string& image : images) media.push_back(medium(data::Part::Kind::image, image));
  return user_message(std::move(media), std::move(text));
}

std::string answer_text(const data::Conversation& conversation, const text::ToolLayout& layout) {
  const data::Message& answer = conversation.messages.back();
  text::ChatMessage written{answer.role, {}, answer.reasoning, answer.calls};
  written.parts.push_back({.text = text_of(answer)});
  return text::answer_text(written, layout);
}

Result<Conversation> conversation_to_answer(const data::Record& record,
                                            const AnswerText& expected) {
  if (!record.fields.is_object())
    return Fault{record.origin.text(), "expected an object with messages", ""};
  auto conversation = data::conversation_of(record);
  if (!conversation) return conversation.fault();
  Conversation out{*std::move(conversation)};
  const bool answered = !out.messages.empty() && out.messages.back().role == "assistant";
  if (out.messages.size() <= (answered ? 1 : 0))
    return Fault{record.origin.text(), "it has no turn to answer", "give it a user's turn"};
  if (answered) {
    auto text = expected ? expected(out) : Result<std::string>(answer_text(out));
    if (!text) return text.fault();
    out.expected = *std::move(text);
    out.messages.pop_back();
  }
  return out;
}

std::vector<Conversation> read_conversations(const std::filesystem::path& file,
                                             const std::string& data_folder) {
  std::vector<data::Record> records;
  const auto format = data::infer_format(file.string());
  if (format == data::Format::json) {
    const std::string text = read_file(file).take();
    auto value = data::parse_json(text);
    if (!value) throw Error(file.string(), value.fault().what, value.fault().fix);
    const auto path = std::make_shared<const std::string>(file.string());
    for (Json& fields : records_of(*std::move(value))) {
      const auto row = static_cast<int64_t>(records.size()) + 1;
      records.push_back(
          {.origin = {path, row}, .fields = std::move(fields), .data_folder = nullptr});
    }
  } else if (format) {
    const auto source = data::open_source(file.string(), *format).take();
    for (int64_t row = 0; row < source->size(); ++row) records.push_back(source->read(row).take());
  } else {
    std::error_code none;
    if (!std::filesystem::is_regular_file(file, none))
      throw Error(file.string(), "is no file", "give a .json or .jsonl file of conversations");
    throw Error(file.string(), "its suffix tells no format", "name it *.json or *.jsonl");
  }
  if (records.empty()) throw Error(file.string(), "holds no conversation");
  const auto folder = std::make_shared<const std::string>(data_folder);
  std::vector<Conversation> out;
  for (data::Record& record : records) {
    record.data_folder = folder;
    out.push_back(conversation_to_answer(record).take());
  }
  return out;
}

}  // namespace lmms::generate
