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

bool names_nothing(const json& source) {
  return source.is_null() || (source.is_string() && source.get_ref<const std::string&>().empty());
}

/// The images and videos that stand in columns of a record, handed out in order.
class MediaColumns {
 public:
  explicit MediaColumns(const json& fields) {
    for (Column& column : columns_) {
      for (const char* key : column.keys) {
        const auto at = fields.find(key);
        if (at == fields.end() || at->is_null()) continue;
        column.key = key;
        if (at->is_array()) {
          column.sources.assign(at->begin(), at->end());
        } else {
          column.sources = {*at};
        }
        break;
      }
    }
  }

  /// The next source of a kind; null if its column has none left.
  json next(Part::Kind kind) {
    for (Column& column : columns_) {
      if (column.kind == kind && column.used < column.sources.size())
        return column.sources[column.used++];
    }
    return nullptr;
  }

  /// A text with its tags taken out, and the parts that they stand for before it.
  Result<std::vector<Part>> split(std::string text, const std::string& path) {
    std::vector<Part> parts;
    for (Column& column : columns_) {
      if (column.sources.empty()) continue;  // then a tag is text like any other
      for (size_t n = strip_tags(text, column.tag); n > 0; --n) {
        json source = next(column.kind);
        if (source.is_null())
          return fault(path,
                       fmt::format("more {} tags than files in '{}'", column.tag, column.key));
        parts.push_back({column.kind, "", std::move(source), nullptr});
      }
    }
    parts.push_back(Part::of_text(std::move(text)));
    return parts;
  }

  /// Parts that name their source go without the column.
  void pass(Part::Kind kind) {
    for (Column& column : columns_) column.passed |= column.kind == kind;
  }

  /// A fault if a column has more than the conversation takes.
  std::optional<Fault> left_over() const {
    for (const Column& column : columns_) {
      const bool unused = column.used == 0 && column.passed;
      if (column.used == column.sources.size() || unused) continue;
      return fault(column.key, fmt::format("{} files, but {} {} tags or parts in the conversation",
                                           column.sources.size(), column.used, column.tag));
    }
    return std::nullopt;
  }

 private:
  struct Column {
    Part::Kind kind;
    std::array<const char*, 2> keys;
    std::string_view tag;
    const char* key = "";
    std::vector<json> sources{};
    size_t used = 0;
    bool passed = false;
  };

  /// Takes every `tag` (and one newline beside it) out of a text; returns how many there were.
  static size_t strip_tags(std::string& text, std::string_view tag) {
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

  std::array<Column, 2> columns_ = {{{Part::Kind::image, {"images", "image"}, "<image>"},
                                     {Part::Kind::video, {"videos", "video"}, "<video>"}}};
};

/// {"type": "image_url", "image_url": {"url": ..., ...}}, {"type": "image", "image": ...}, or a
/// part that stands for what is next in a column.
Result<Part> media_part(const json& part, const std::string& path, const std::string& type,
                        Part::Kind kind, MediaColumns& columns) {
  Part media{kind, "", nullptr, nullptr};
  const auto at = part.find(type);
  if (at != part.end()) {
    if (at->is_object() && at->contains("url")) {
      media.source = (*at)["url"];
      media.options = *at;
      media.options.erase("url");
    } else {
      media.source = *at;
    }
  }
  if (names_nothing(media.source)) {
    media.source = columns.next(kind);
  } else {
    columns.pass(kind);
  }
  const json& source = media.source;
  const bool named = source.is_string() || source.is_binary() ||
                     (source.is_object() && (source.contains("bytes") || source.contains("path")));
  if (!named) return fault(path, fmt::format("expected '{}': {{\"url\": a path}}", type));
  return media;
}

/// nullopt for a part without content.
Result<std::optional<Part>> read_part(const json& part, const std::string& path,
                                      MediaColumns& columns) {
  if (part.is_string()) return std::optional(Part::of_text(part));
  if (!part.is_object()) {
    return fault(path,
                 fmt::format("expected a part {{\"type\": ...}}, found {}", part.type_name()));
  }
  const auto* type = text_of(part, "type");
  if (type) {
    const bool is_url = type->ends_with("_url");
    if (auto kind = media_kind(is_url ? type->substr(0, type->size() - 4) : *type)) {
      auto media = media_part(part, path, *type, *kind, columns);
      if (!media) return media.fault();
      return std::optional(*std::move(media));
    }
  }
  // Any other part counts by its text, whatever its type is called.
  if (const auto* text = text_of(part, "text")) return std::optional(Part::of_text(*text));
  if (part.contains("text")) return fault(path + ".text", "expected a string");
  if (type && *type == "text") return std::optional<Part>();
  return fault(path, type ? fmt::format("unknown part type '{}'; expected text, image_url, "
                                        "video_url or audio_url",
                                        *type)
                          : "a part without type and text");
}

Result<std::vector<Part>> read_content(const json& content, const std::string& path,
                                       MediaColumns& columns) {
  if (content.is_string()) return columns.split(content, path);
  if (!content.is_array()) {
    return fault(
        path, fmt::format("expected a string or a list of parts, found {}", content.type_name()));
  }
  std::vector<Part> parts;
  for (size_t i = 0; i < content.size(); ++i) {
    auto part = read_part(content[i], fmt::format("{}[{}]", path, i), columns);
    if (!part) return part.fault();
    if (*part) parts.push_back(**std::move(part));
  }
  return parts;
}

/// A list of {role, content}.
Result<Messages> read_messages(const json& list, const std::string& path, MediaColumns& columns) {
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
    auto parts = read_content(entry["content"], at + ".content", columns);
    if (!parts) return parts.fault();
    messages.push_back({*role, *std::move(parts)});
  }
  return messages;
}

Result<Messages> openai_form(const json& fields, MediaColumns& columns) {
  const auto& messages = fields["messages"];
  if (!messages.is_string()) return read_messages(messages, "messages", columns);
  auto parsed = parse_json(messages.get_ref<const std::string&>());
  if (!parsed) return fault("messages", parsed.fault().what);
  return read_messages(*parsed, "messages", columns);
}

Result<Messages> llava_form(const json& fields, MediaColumns& columns) {
  const auto& list = fields["conversations"];
  if (!list.is_array()) return fault("conversations", "expected a list of {from, value}");
  Messages messages;
  for (size_t i = 0; i < list.size(); ++i) {
    const auto at = fmt::format("conversations[{}]", i);
    const auto* from = list[i].is_object() ? text_of(list[i], "from") : nullptr;
    const auto* value = list[i].is_object() ? text_of(list[i], "value") : nullptr;
    if (!from || !value) return fault(at, "expected {\"from\": ..., \"value\": ...}, both strings");
    auto parts = columns.split(*value, at);
    if (!parts) return parts.fault();
    messages.push_back({*from == "human" ? "user"
                        : *from == "gpt" ? "assistant"
                                         : *from,
                        *std::move(parts)});
  }
  return messages;
}

/// Appends what stands under a key: a text, or a list of messages.
std::optional<Fault> append_turn(const json& fields, const char* key, const char* role,
                                 Messages& messages, MediaColumns& columns) {
  const auto at = fields.find(key);
  if (at == fields.end()) return fault(key, "missing");
  if (at->is_array()) {
    auto turns = read_messages(*at, key, columns);
    if (!turns) return turns.fault();
    for (auto& turn : *turns) messages.push_back(std::move(turn));
    return std::nullopt;
  }
  if (!at->is_string()) {
    return fault(key, fmt::format("expected a string, found {}", at->type_name()));
  }
  auto parts = columns.split(*at, key);
  if (!parts) return parts.fault();
  messages.push_back({role, *std::move(parts)});
  return std::nullopt;
}

Result<Messages> alpaca_form(const json& fields, MediaColumns& columns) {
  Messages messages;
  if (fields.contains("system")) {
    if (auto wrong = append_turn(fields, "system", "system", messages, columns)) return *wrong;
  }
  if (auto wrong = append_turn(fields, "instruction", "user", messages, columns)) return *wrong;
  if (const auto* input = text_of(fields, "input"); input && !input->empty()) {
    auto& parts = messages.back().parts;
    if (parts.back().kind == Part::Kind::text) parts.back().text += "\n" + *input;
  }
  if (auto wrong = append_turn(fields, "output", "assistant", messages, columns)) return *wrong;
  return messages;
}

Result<Messages> prompt_form(const json& fields, MediaColumns& columns) {
  Messages messages;
  if (fields.contains("system")) {
    if (auto wrong = append_turn(fields, "system", "system", messages, columns)) return *wrong;
  }
  if (auto wrong = append_turn(fields, "prompt", "user", messages, columns)) return *wrong;
  const char* answer = fields.contains("response") ? "response" : "completion";
  if (auto wrong = append_turn(fields, answer, "assistant", messages, columns)) return *wrong;
  return messages;
}

std::string keys_of(const json& fields) {
  std::string keys;
  for (const auto& [key, value] : fields.items()) keys += (keys.empty() ? "" : ", ") + key;
  return keys.empty() ? "none" : keys;
}

}  // namespace

std::string Part::source_name() const {
  constexpr size_t kLongest = 120;
  if (source.is_string()) {
    const auto& name = source.get_ref<const std::string&>();
    return name.size() > kLongest ? name.substr(0, kLongest - 3) + "..." : name;
  }
  if (source.is_binary()) return fmt::format("{} bytes", source.get_binary().size());
  if (source.is_object() && source.contains("path") && source["path"].is_string())
    return source["path"];
  return "bytes of a column";
}

Result<std::vector<Message>> conversation_of(const Record& record) {
  using Reader = Result<Messages> (*)(const json&, MediaColumns&);
  constexpr std::array<std::pair<const char*, Reader>, 4> forms = {{{"messages", openai_form},
                                                                    {"conversations", llava_form},
                                                                    {"instruction", alpaca_form},
                                                                    {"prompt", prompt_form}}};
  for (const auto& [key, read] : forms) {
    if (!record.fields.contains(key)) continue;
    MediaColumns columns(record.fields);
    auto messages = read(record.fields, columns);
    const auto left = messages ? columns.left_over() : std::nullopt;
    if (messages && !left) return messages;
    const Fault& wrong = left ? *left : messages.fault();
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
