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
  std::string text;        ///< of Kind::text
  std::string url;         ///< of media: as written; joined to the record's data_folder when opened
  nlohmann::json options;  ///< of media: further keys beside the url (video_start, ...)
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
/// Faults name the record and the path inside it: "chats.jsonl:7: messages[2].content[0]: ...".
Result<std::vector<Message>> conversation_of(const Record& record);

/// The text of a record without turns (pretraining): its field `text`.
Result<std::string> plain_text_of(const Record& record);

}  // namespace lmms::data
