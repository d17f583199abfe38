#include "data/conversation.h"

#include <array>
#include <optional>
#include <utility>

#include "core/format.h"
#include "data/json_text.h"
#include "data/media_columns.h"
#include "data/turn_extras.h"

namespace lmms::data {
namespace {

using Messages = std::vector<Message>;

Fault fault(const std::string& path, const std::string& what) {
  return {path, what, ""};
}

/// A text member, or nullptr.
const std::string* text_of(const Json& object, const char* key) {
  const Json* value = find_member(object, key);
  return value && value->is_string() ? &value->get_ref<const std::string&>() : nullptr;
}

std::optional<Part::Kind> media_kind(std::string_view name) {
  if (name == "image") return Part::Kind::image;
  if (name == "video") return Part::Kind::video;
  if (name == "audio") return Part::Kind::audio;
  return std::nullopt;
}

bool names_nothing(const nlohmann::json& source) {
  return source.is_null() || (source.is_string() && source.get_ref<const std::string&>().empty());
}

/// {"type": "image_url", "image_url": {"url": ..., ...}}, {"type": "image", "image": ...}, or a
/// part that stands for what is next in a column.
Result<Part> media_part(const Json& part, const std::string& path, const std::string& type,
                        Part::Kind kind, MediaColumns& columns) {
  Part media{kind, "", nullptr, nullptr};
  if (const Json* at = find_member(part, type.c_str())) {
    if (at->is_object() && at->contains("url")) {
      media.source = (*at)["url"];
      for (const auto& [key, value] : at->items()) {
        if (key != "url" && !value.is_null()) media.options[key] = value;
      }
      if (media.options.is_null()) media.options = nlohmann::json::object();
    } else {
      media.source = *at;
    }
  }
  if (names_nothing(media.source)) {
    media.source = columns.next(kind);
  } else {
    columns.pass(kind);
  }
  const nlohmann::json& source = media.source;
  const bool named = source.is_string() || source.is_binary() ||
                     (source.is_object() && (source.contains("bytes") || source.contains("path")));
  if (!named) return fault(path, fmt::format("expected '{}': {{\"url\": a path}}", type));
  return media;
}

/// No part for one without content; several for a text with tags.
Result<std::vector<Part>> read_part(const Json& part, const std::string& path,
                                    MediaColumns& columns) {
  if (part.is_string()) return columns.split(part, path);
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
      return std::vector{*std::move(media)};
    }
  }
  for (const char* key : {"image", "image_url", "video", "video_url", "audio", "audio_url"}) {
    const Json* medium = find_member(part, key);
    if (medium && !medium->empty() && *medium != "")
      return fault(path + "." + key, fmt::format("in a part of another type; make it one of type "
                                                 "'{}'",
                                                 key));
  }
  // Any other part counts by its text, whatever its type is called.
  if (const auto* text = text_of(part, "text")) return columns.split(*text, path);
  if (find_member(part, "text")) return fault(path + ".text", "expected a string");
  if (type && *type == "text") return std::vector<Part>();
  return fault(path, type ? fmt::format("unknown part type '{}'; expected text, image_url, "
                                        "video_url or audio_url",
                                        *type)
                          : "a part without type and text");
}

Result<std::vector<Part>> read_content(const Json& content, const std::string& path,
                                       MediaColumns& columns) {
  if (content.is_string()) return columns.split(content, path);
  if (!content.is_array()) {
    return fault(
        path, fmt::format("expected a string or a list of parts, found {}", content.type_name()));
  }
  std::vector<Part> parts;
  for (size_t i = 0; i < content.size(); ++i) {
    auto read = read_part(content[i], fmt::format("{}[{}]", path, i), columns);
    if (!read) return read.fault();
    for (Part& part : *read) parts.push_back(std::move(part));
  }
  return parts;
}

/// Completes a message that has its role and its content.
std::optional<Fault> complete(const Json& entry, const std::string& path, Message& message) {
  if (auto wrong = read_role(path, message)) return wrong;
  return read_extras(entry, path, message);
}

/// A list of {role, content, ...}.
Result<Messages> read_messages(const Json& list, const std::string& path, MediaColumns& columns) {
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
    Message message{*role, {}};
    if (const Json* content = find_member(entry, "content")) {
      auto parts = read_content(*content, at + ".content", columns);
      if (!parts) return parts.fault();
      message.parts = *std::move(parts);
      if (content->is_array()) message.content = text::ContentForm::parts;
    } else if (!speaks_without_content(entry)) {
      return fault(at + ".content", "missing");
    } else {
      message.content =
          entry.contains("content") ? text::ContentForm::null : text::ContentForm::absent;
    }
    if (auto wrong = complete(entry, at, message)) return *wrong;
    messages.push_back(std::move(message));
  }
  return messages;
}

Result<Messages> openai_form(const Json& fields, MediaColumns& columns) {
  const auto& messages = fields["messages"];
  if (!messages.is_string()) return read_messages(messages, "messages", columns);
  auto parsed = parse_json(messages.get_ref<const std::string&>());
  if (!parsed) return fault("messages", parsed.fault().what);
  return read_messages(*parsed, "messages", columns);
}

Result<Messages> from_value_form(const Json& fields, MediaColumns& columns) {
  const auto& list = fields["conversations"];
  if (!list.is_array()) return fault("conversations", "expected a list of {from, value}");
  Messages messages;
  for (size_t i = 0; i < list.size(); ++i) {
    const auto at = fmt::format("conversations[{}]", i);
    const auto* from = list[i].is_object() ? text_of(list[i], "from") : nullptr;
    const auto* value = list[i].is_object() ? text_of(list[i], "value") : nullptr;
    if (!from || !(value || speaks_without_content(list[i])))
      return fault(at, "expected {\"from\": ..., \"value\": ...}, both strings");
    auto parts = columns.split(value ? *value : "", at);
    if (!parts) return parts.fault();
    Message message{*from == "human" ? "user"
                    : *from == "gpt" ? "assistant"
                                     : *from,
                    *std::move(parts)};
    if (auto wrong = complete(list[i], at, message)) return *wrong;
    messages.push_back(std::move(message));
  }
  return messages;
}

/// Appends a turn of a text.
std::optional<Fault> append_text(const std::string& text, const std::string& path, const char* role,
                                 Messages& messages, MediaColumns& columns) {
  auto parts = columns.split(text, path);
  if (!parts) return parts.fault();
  messages.push_back({role, *std::move(parts)});
  return std::nullopt;
}

/// Appends what stands under a key: a text, or a list of messages.
std::optional<Fault> append_turn(const Json& fields, const char* key, const char* role,
                                 Messages& messages, MediaColumns& columns) {
  const Json* value = find_member(fields, key);
  if (!value) return fault(key, "missing");
  if (value->is_array()) {
    auto turns = read_messages(*value, key, columns);
    if (!turns) return turns.fault();
    for (auto& turn : *turns) messages.push_back(std::move(turn));
    return std::nullopt;
  }
  if (!value->is_string()) {
    return fault(key, fmt::format("expected a string, found {}", value->type_name()));
  }
  return append_text(*value, key, role, messages, columns);
}

/// The earlier turns of Alpaca's form: [[question, answer], ...].
std::optional<Fault> append_history(const Json& fields, Messages& messages, MediaColumns& columns) {
  const Json* history = find_member(fields, "history");
  if (!history) return std::nullopt;
  if (!history->is_array()) return fault("history", "expected a list of [question, answer]");
  for (size_t i = 0; i < history->size(); ++i) {
    const Json& pair = (*history)[i];
    const auto at = fmt::format("history[{}]", i);
    if (!pair.is_array() || pair.size() != 2 || !pair[0].is_string() || !pair[1].is_string())
      return fault(at, "expected [question, answer], both strings");
    if (auto wrong = append_text(pair[0], at, "user", messages, columns)) return wrong;
    if (auto wrong = append_text(pair[1], at, "assistant", messages, columns)) return wrong;
  }
  return std::nullopt;
}

Result<Messages> with_answer(const Json& fields, const char* key, Messages messages,
                             MediaColumns& columns) {
  if (auto wrong = append_turn(fields, key, "assistant", messages, columns)) return *wrong;
  if (messages.empty()) return messages;
  if (auto wrong = read_answer_extras(fields, messages.back())) return *wrong;
  return messages;
}

Result<Messages> alpaca_form(const Json& fields, MediaColumns& columns) {
  Messages messages;
  if (auto wrong = append_history(fields, messages, columns)) return *wrong;
  const Json* input = find_member(fields, "input");
  const bool more = input && !(input->is_string() && input->get_ref<const std::string&>().empty());
  if (more && !input->is_string())
    return fault("input", fmt::format("expected a string, found {}", input->type_name()));
  const auto* instruction = text_of(fields, "instruction");
  if (more && !instruction)
    return fault("instruction", "expected a string, for there is an 'input' to go on with");
  if (more) {
    const std::string question =
        (instruction->empty() ? "" : *instruction + "\n") + input->get_ref<const std::string&>();
    if (auto wrong = append_text(question, "instruction", "user", messages, columns)) return *wrong;
  } else if (auto wrong = append_turn(fields, "instruction", "user", messages, columns)) {
    return *wrong;
  }
  return with_answer(fields, "output", std::move(messages), columns);
}

Result<Messages> prompt_form(const Json& fields, MediaColumns& columns) {
  Messages messages;
  if (auto wrong = append_history(fields, messages, columns)) return *wrong;
  if (auto wrong = append_turn(fields, "prompt", "user", messages, columns)) return *wrong;
  const char* answer = find_member(fields, "response") ? "response" : "completion";
  return with_answer(fields, answer, std::move(messages), columns);
}

std::string keys_of(const Json& fields) {
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

Result<Conversation> conversation_of(const Record& record) {
  using Reader = Result<Messages> (*)(const Json&, MediaColumns&);
  constexpr std::array<std::pair<const char*, Reader>, 4> forms = {
      {{"messages", openai_form},
       {"conversations", from_value_form},
       {"instruction", alpaca_form},
       {"prompt", prompt_form}}};
  const Json& fields = record.fields;
  const auto of_record = [&](const Fault& wrong) {
    return Fault{record.origin.text(), fmt::format("{}: {}", wrong.where, wrong.what), wrong.fix};
  };
  for (const auto& [key, read] : forms) {
    if (!find_member(fields, key)) continue;
    if (auto wrong = refuse_columns(fields, key)) return of_record(*wrong);
    auto columns = MediaColumns::create(fields);
    if (!columns) return of_record(columns.fault());
    auto messages = read(fields, *columns);
    if (!messages) return of_record(messages.fault());
    if (auto wrong = columns->left_over()) return of_record(*wrong);
    if (auto wrong = add_system(fields, *messages)) return of_record(*wrong);
    auto tools = tools_of(fields);
    if (!tools) return of_record(tools.fault());
    return Conversation{record.origin, record.data_folder, *std::move(tools), *std::move(messages),
                        columns->unfiled_tag(fields)};
  }
  return Fault{record.origin.text(),
               fmt::format("no conversation: expected messages, conversations, instruction or "
                           "prompt; its keys are: {}",
                           keys_of(fields)),
               ""};
}

Result<std::string> plain_text_of(const Record& record) {
  if (const auto* text = text_of(record.fields, "text")) return *text;
  return Fault{record.origin.text(),
               find_member(record.fields, "text")
                   ? "text: expected a string"
                   : fmt::format("no field 'text'; its keys are: {}", keys_of(record.fields)),
               ""};
}

}  // namespace lmms::data
