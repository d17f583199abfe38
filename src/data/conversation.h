#pragma once
/// The chat forms that users have, as one type.
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "core/error.h"
#include "data/record.h"

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

  static Part of_text(std::string text) { return {Kind::text, std::move(text), nullptr, nullptr}; }
  /// What a message calls the source: its path, cut if it is long, or "4711 bytes".
  std::string source_name() const;
};

struct Message {
  std::string role;  ///< as written: "system", "user", "assistant", "tool", ...
  std::vector<Part> parts;
};

/// The messages of a record, from whichever of these forms it has (the first that is present):
///   messages        OpenAI's: list of {role, content: string | list of parts}, or that list as
///   JSON
///                   text; null and unknown keys are ignored
///   conversations   LLaVA's: list of {from: human | gpt | system | ..., value}
///   instruction     Alpaca's: {instruction, input?, output, system?}
///   prompt          {prompt, response | completion}
/// Images and videos may also stand in columns of the record (`images`, `image`, `videos`, `video`:
/// one or a list): parts without a source of their own, and the tags <image> and <video> of a text,
/// take them in order. The parts of a text's tags go before the text.
/// Faults name the record and the path inside it: "chats.jsonl:7: messages[2].content[0]: ...".
Result<std::vector<Message>> conversation_of(const Record& record);

/// The text of a record without turns (pretraining): its field `text`.
Result<std::string> plain_text_of(const Record& record);

}  // namespace lmms::data
