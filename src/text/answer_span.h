#pragma once
/// Where an answer stands in what a template writes of a chat, told by what it writes of the chat's
/// beginnings.
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "text/chat.h"
#include "text/tokenizer.h"

namespace lmms::text {

struct TextSpan {
  size_t begin, end;  ///< bytes

  bool operator==(const TextSpan&) const = default;
};

/// What a template writes of the first `messages` of a chat; nullopt: it refuses to. The views stay
/// until the next call.
struct Beginnings {
  std::function<std::optional<std::string>(size_t messages, bool with_header)> write;
  /// Of the first `messages` and an answer behind them whose text is kSomeAnswer.
  std::function<std::optional<std::string>(size_t messages)> write_with_some_answer;
};
inline constexpr std::string_view kSomeAnswer = "Qk3answerZ9";

/// The span of the answer `messages[at]` in `text`, what the template writes of them all: from
/// where generation begins to the token that ends the turn. nullopt: the template writes it, or
/// what is before it, in another way than where it is asked for the answer, so that it is not to be
/// learnt from here:
///
/// - An answer begins behind what is written of the messages before it with the header of an
/// answer;
///   where the template itself goes on otherwise (a <think> that only prompts have), behind what
///   the two have in common, which an answer made up for this shows.
/// - It ends with what is written of the messages up to it. Where later messages change that (an
/// end
///   of the chat, thoughts that earlier answers lose), it is the answer as it stands in the text,
///   if nothing of the record is missing in it.
std::optional<TextSpan> answer_span(std::string_view text, const std::vector<ChatMessage>& messages,
                                    size_t at, const Beginnings& beginnings,
                                    const Tokenizer& tokenizer);

/// The last added token in a text, if nothing but white space is behind it.
std::optional<TextPart> last_token(std::string_view text, const Tokenizer& tokenizer);

}  // namespace lmms::text
