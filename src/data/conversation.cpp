#include "data/conversation.h"

#include <array>
#include <optional>
#include <utility>

#include "core/format.h"
#include "data/json_text.h"

namespace lmms::data {
namespace {

using nlohmann::json;
using Messages = std::vector<Message>;

Fault fault(const std::string& path, const std::string& what) {
  return {path, what, ""};
}

/// A text member, or nullptr.
const std::string* text_of(const json& object, const char* key) {
  const auto at = object.find(key);
  return at != object.end() && at->is_string() ? &at->get_ref<const std::string&>() : nullptr;
}

std::optional<Part::Kind> media_kind(std::string_view name) {
  if (name == "image") return Part::Kind::image;
  if (name == "video") return Part::Kind::video;
  if (name == "audio") return Part::Kind::audio;
  return std::nullopt;
}

/// {"type": "image_url", "image_url": {"url": ..., ...}}, or {"type": "image", "image": ...}.
Result<Part> media_part(const json& part, const std::string& path, const std::string& type,
                        Part::Kind kind) {
  const auto at = part.find(type);
  if (at != part.end() && at->is_string()) {
    return Part{.kind = kind, .text = "", .url = at->get<std::string>(), .options = {}};
  }
  if (at == part.end() || !at->is_object() || !text_of(*at, "url")) {
    return fault(path, fmt::format("expected '{}': {{\"url\": a path}}", type));
  }
  Part media{.kind = kind, .text = "", .url = *text_of(*at, "url"), .options = *at};
  media.options.erase("url");
  return media;
}

/// nullopt for a part without content.
Result<std::optional<Part>> read_part(const json& part, const std::string& path) {
  if (part.is_string()) {
    return std::optional(Part{.kind = Part::Kind::text, .text = part, .url = "", .options = {}});
  }
  if (!part.is_object()) {
    return fault(path,
                 fmt::format("expected a part {{\"type\": ...}}, found {}", part.type_name()));
  }
  const auto* type = text_of(part, "type");
  if (type) {
    const bool is_url = type->ends_with("_url");
    if (auto kind = media_kind(is_url ? type->substr(0, type->size() - 4) : *type)) {
      auto media = media_part(part, path, *type, *kind);
      if (!media) return media.fault();
      return std::optional(*std::move(media));
    }
  }
  // Any other part counts by its text, whatever its type is called.
  if (const auto* text = text_of(part, "text")) {
    return std::optional(Part{.kind = Part::Kind::text, .text = *text, .url = "", .options = {}});
  }
  if (part.contains("text")) return fault(path + ".text", "expected a string");
  if (type && *type == "text") return std::optional<Part>();
  return fault(path, type ? fmt::format("unknown part type '{}'; expected text, image_url, "
                                        "video_url or audio_url",
                                        *type)
                          : "a part without type and text");
}

Result<std::vector<Part>> read_content(const json& content, const std::string& path) {
  std::vector<Part> parts;
  if (content.is_string()) {
    parts.push_back({.kind = Part::Kind::text, .text = content, .url = "", .options = {}});
    return parts;
  }
  if (!content.is_array()) {
    return fault(
        path, fmt::format("expected a string or a list of parts, found {}", content.type_name()));
  }
  for (size_t i = 0; i < content.size(); ++i) {
    auto part = read_part(content[i], fmt::format("{}[{}]", path, i));
    if (!part) return part.fault();
    if (*part) parts.push_back(**std::move(part));
  }
  return parts;
}

/// A list of {role, content}.
Result<Messages> read_messages(const json& list, const std::string& path) {
  if (!list.is_array()) {
    return fault(path, fmt::format("expected a list of messages, found {}", list.type_name()));
  }
  Messages messages;
  for (size_t i = 0; i < list.size(); ++i) {
    const auto at = fmt::format("{}[{}]", path, i);
    const auto& entry = list[i];
    if (!entry.is_object()) {
      return fault(at, fmt::format("expected {{\"role\": ..., \"content\": ...}}, found {}",
                                   entry.type_name()));
    }
    const auto* role = text_of(entry, "role");
    if (!role) return fault(at + ".role", "expected a string");
    if (!entry.contains("content")) return fault(at + ".content", "missing");
    auto parts = read_content(entry["content"], at + ".content");
    if (!parts) return parts.fault();
    messages.push_back({*role, *std::move(parts)});
  }
  return messages;
}

Result<Messages> openai_form(const json& fields) {
  const auto& messages = fields["messages"];
  if (!messages.is_string()) return read_messages(messages, "messages");
  auto parsed = parse_json(messages.get_ref<const std::string&>());
  if (!parsed) return fault("messages", parsed.fault().what);
  return read_messages(*parsed, "messages");
}

/// Paths of a media field: one string or a list of them.
Result<std::vector<std::string>> media_paths(const json& fields, const char* key) {
  std::vector<std::string> paths;
  const auto at = fields.find(key);
  if (at == fields.end()) return paths;
  const auto list = at->is_array() ? *at : json::array({*at});
  for (const auto& path : list) {
    if (!path.is_string()) return fault(key, "expected a path or a list of paths");
    paths.push_back(path);
  }
  return paths;
}

/// Takes every `tag` (and one newline beside it) out of a text; returns how many there were.
size_t strip_tags(std::string& text, std::string_view tag) {
  size_t count = 0;
  for (size_t at; (at = text.find(tag)) != std::string::npos; ++count) {
    text.erase(at, tag.size());
    if (at < text.size() && text[at] == '\n') {
      text.erase(at, 1);
    } else if (at > 0 && text[at - 1] == '\n') {
      text.erase(at - 1, 1);
    }
  }
  return count;
}

/// `<image>` and `<video>` in the text stand for the record's files, in order; their parts go
/// before the text.
Result<Messages> llava_form(const json& fields) {
  const auto& list = fields["conversations"];
  if (!list.is_array()) return fault("conversations", "expected a list of {from, value}");
  struct Media {
    const char* key;
    std::string_view tag;
    Part::Kind kind;
    std::vector<std::string> paths;
    size_t used = 0;
  };
  std::array<Media, 2> media = {
      {{"image", "<image>", Part::Kind::image, {}}, {"video", "<video>", Part::Kind::video, {}}}};
  for (auto& kind : media) {
    auto paths = media_paths(fields, kind.key);
    if (!paths) return paths.fault();
    kind.paths = *std::move(paths);
  }
  Messages messages;
  for (size_t i = 0; i < list.size(); ++i) {
    const auto at = fmt::format("conversations[{}]", i);
    const auto* from = list[i].is_object() ? text_of(list[i], "from") : nullptr;
    const auto* value = list[i].is_object() ? text_of(list[i], "value") : nullptr;
    if (!from || !value) return fault(at, "expected {\"from\": ..., \"value\": ...}, both strings");
    Message message{*from == "human" ? "user" : *from == "gpt" ? "assistant" : *from, {}};
    std::string text = *value;
    for (auto& kind : media) {
      if (kind.paths.empty()) continue;  // then a tag is text like any other
      for (size_t n = strip_tags(text, kind.tag); n > 0; --n) {
        if (kind.used == kind.paths.size()) {
          return fault(at, fmt::format("more {} tags than files in '{}'", kind.tag, kind.key));
        }
        message.parts.push_back(
            {.kind = kind.kind, .text = "", .url = kind.paths[kind.used++], .options = {}});
      }
    }
    message.parts.push_back({.kind = Part::Kind::text, .text = text, .url = "", .options = {}});
    messages.push_back(std::move(message));
  }
  for (const auto& kind : media) {
    if (kind.used < kind.paths.size()) {
      return fault(kind.key, fmt::format("{} files, but {} {} tags in the conversation",
                                         kind.paths.size(), kind.used, kind.tag));
    }
  }
  return messages;
}

/// Appends what stands under a key: a text, or a list of messages.
std::optional<Fault> append_turn(const json& fields, const char* key, const char* role,
                                 Messages& messages) {
  const auto at = fields.find(key);
  if (at == fields.end()) return fault(key, "missing");
  if (at->is_array()) {
    auto turns = read_messages(*at, key);
    if (!turns) return turns.fault();
    for (auto& turn : *turns) messages.push_back(std::move(turn));
    return std::nullopt;
  }
  if (!at->is_string()) {
    return fault(key, fmt::format("expected a string, found {}", at->type_name()));
  }
  messages.push_back({role, {{.kind = Part::Kind::text, .text = *at, .url = "", .options = {}}}});
  return std::nullopt;
}

Result<Messages> alpaca_form(const json& fields) {
  Messages messages;
  if (fields.contains("system")) {
    if (auto wrong = append_turn(fields, "system", "system", messages)) return *wrong;
  }
  if (auto wrong = append_turn(fields, "instruction", "user", messages)) return *wrong;
  if (const auto* input = text_of(fields, "input"); input && !input->empty()) {
    auto& parts = messages.back().parts;
    if (parts.size() == 1) parts.front().text += "\n" + *input;
  }
  if (auto wrong = append_turn(fields, "output", "assistant", messages)) return *wrong;
  return messages;
}

Result<Messages> prompt_form(const json& fields) {
  Messages messages;
  if (fields.contains("system")) {
    if (auto wrong = append_turn(fields, "system", "system", messages)) return *wrong;
  }
  if (auto wrong = append_turn(fields, "prompt", "user", messages)) return *wrong;
  const char* answer = fields.contains("response") ? "response" : "completion";
  if (auto wrong = append_turn(fields, answer, "assistant", messages)) return *wrong;
  return messages;
}

std::string keys_of(const json& fields) {
  std::string keys;
  for (const auto& [key, value] : fields.items()) keys += (keys.empty() ? "" : ", ") + key;
  return keys.empty() ? "none" : keys;
}

}  // namespace

Result<std::vector<Message>> conversation_of(const Record& record) {
  using Reader = Result<Messages> (*)(const json&);
  constexpr std::array<std::pair<const char*, Reader>, 4> forms = {{{"messages", openai_form},
                                                                    {"conversations", llava_form},
                                                                    {"instruction", alpaca_form},
                                                                    {"prompt", prompt_form}}};
  for (const auto& [key, read] : forms) {
    if (!record.fields.contains(key)) continue;
    auto messages = read(record.fields);
    if (messages) return messages;
    const auto& wrong = messages.fault();
    return Fault{record.origin.text(), fmt::format("{}: {}", wrong.where, wrong.what), ""};
  }
  return Fault{record.origin.text(),
               fmt::format("no conversation: expected messages, conversations, instruction or "
                           "prompt; its keys are: {}",
                           keys_of(record.fields)),
               ""};
}

Result<std::string> plain_text_of(const Record& record) {
  if (const auto* text = text_of(record.fields, "text")) return *text;
  return Fault{record.origin.text(),
               record.fields.contains("text")
                   ? "text: expected a string"
                   : fmt::format("no field 'text'; its keys are: {}", keys_of(record.fields)),
               ""};
}

}  // namespace lmms::data
