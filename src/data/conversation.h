#pragma once
/// The chat forms that users have, as one type.
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/error.h"
#include "data/record.h"
#include "text/chat.h"

namespace lmms::data {

/// A piece of a message, in order of appearance.
struct Part {
  enum class Kind { text, image, video, audio };
  Kind kind = Kind::text;
  std::string text;  ///< of Kind::text
  /// Of media: what names it or is it, as media::read_source takes it (a path, a data: URL, bytes,
  /// {"bytes": ..., "path": ...}).
  nlohmann::json source;
  nlohmann::json options;  ///< of media: further keys beside the url (video_start, ...)
  /// Stands inside a text: a medium where its tag was, or the text that goes on behind one.
  bool in_text = false;

  static Part of_text(std::string text) { return {Kind::text, std::move(text), nullptr, nullptr}; }
  /// What a message calls the source: its path, cut if it is long, or "4711 bytes".
  std::string source_name() const;
};

struct Message {
  std::string role;  ///< as written: "system", "user", "assistant", ...; "tool": a tool's result
  std::vector<Part> parts;
  std::optional<std::string> reasoning{};  ///< what was thought before an answer
  std::vector<text::ToolCall> calls{};     ///< of tools, by an answer
  bool trained = true;                     ///< whether an answer is a target
  text::ContentForm content = text::ContentForm::text;
  std::optional<std::string> name{};     ///< who speaks, or the tool whose result it is
  std::optional<std::string> call_id{};  ///< of a result: the call that it answers
};

/// A tag in a text where the record has no column of its kind. Who takes text only has it as text;
/// who sees has a fault of the record, or a text that quotes it.
struct UnfiledTag {
  std::string where;         ///< "conversations[0]"
  std::string_view tag;      ///< "<image>"
  std::string_view column;   ///< that its file should stand in: "images"
  std::string likely;        ///< a column that may hold the file under another name; or empty
  bool placeholder = false;  ///< it begins or ends its text
};

struct Conversation {
  Origin origin;
  std::shared_ptr<const std::string> data_folder;  ///< that relative paths are joined to, or null
  std::vector<std::string> tools;  ///< JSON objects, as Python's json.dumps writes them
  std::vector<Message> messages;
  std::optional<UnfiledTag> unfiled{};
};

/// The conversation of a record, from whichever of these forms it has (the first that is present):
///   messages        OpenAI's: list of {role, content: string | list of parts, ...}, or that list
///                   as JSON text
///   conversations   ShareGPT's: list of {from: human | gpt | system | ..., value, ...}
///   instruction     Alpaca's: {instruction, input?, output, history?}
///   prompt          {prompt, response | completion, history?}
/// with `tools` and `system` of the record beside any of them. What a message says elsewhere than
/// in its content is in turn_extras.h: it is read, or refused by name. Null values and keys without
/// a meaning are ignored.
///
/// Images and videos may also stand in columns of the record (`images`, `image`, `videos`, `video`:
/// one or a list): parts without a source of their own, and the tags <image> and <video> of a text,
/// take them in order. A tag's part stands where the tag stood.
/// Faults name the record and the path inside it: "chats.jsonl:7: messages[2].content[0]: ...".
Result<Conversation> conversation_of(const Record& record);

/// The text of a record without turns (pretraining): its field `text`.
Result<std::string> plain_text_of(const Record& record);

}  // namespace lmms::data
