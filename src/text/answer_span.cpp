#include "text/answer_span.h"

#include <algorithm>

#include "text/jinja/strings.h"

namespace lmms::text {
namespace {

size_t common_prefix(std::string_view a, std::string_view b) {
  const auto [end, other] = std::ranges::mismatch(a, b);
  return static_cast<size_t>(end - a.begin());
}

std::string text_of(const ChatMessage& message) {
  std::string text;
  for (const ChatPart& part : message.parts) text += part.text;
  return text;
}

bool thinks(const ChatMessage& answer) {
  return (answer.reasoning && !answer.reasoning->empty()) ||
         text_of(answer).find("</think>") != std::string::npos;
}

std::string_view trimmed(std::string_view text) {
  return jinja::strip(text, jinja::Side::both);
}

/// Where the answer begins in `written`, what stands of the messages up to it.
std::optional<size_t> begin_of(std::string_view written, size_t at, const Beginnings& beginnings) {
  const auto prompt = beginnings.write(at, /*with_header=*/true);
  if (prompt && written.starts_with(*prompt)) return prompt->size();
  const auto some = beginnings.write_with_some_answer(at);
  if (!some) return std::nullopt;
  size_t begin = some->find(kSomeAnswer);
  if (begin == std::string::npos) return std::nullopt;
  // The header of a prompt and that of an answer: as far as they are one. Of no message at all,
  // prompts lack what templates write in front of the first.
  const auto before = at > 0 && prompt ? beginnings.write(at, /*with_header=*/false) : std::nullopt;
  if (before) {
    const size_t same = common_prefix(*prompt, *some);
    if (same >= before->size()) begin = std::min(begin, same);
  }
  while (begin > 0 && begin < some->size() && (static_cast<uint8_t>((*some)[begin]) & 0xC0) == 0x80)
    --begin;  // not inside of a character
  return written.substr(0, begin) == some->substr(0, begin) ? std::optional(begin) : std::nullopt;
}

/// `written` without the white space behind the token that ends the turn.
size_t end_of(std::string_view written, size_t begin, const Tokenizer& tokenizer) {
  const auto token = last_token(written.substr(begin), tokenizer);
  return token ? begin + token->end : written.size();
}

/// The end of an answer that the whole text has otherwise than `written` behind `begin`.
std::optional<size_t> end_of_rewritten(std::string_view text, std::string_view written,
                                       size_t begin, const ChatMessage& answer,
                                       const Tokenizer& tokenizer) {
  const auto token = last_token(written.substr(begin), tokenizer);
  if (!token) return std::nullopt;
  // Only the token that ends the turn is another one: the text is learnt, and no end.
  if (const size_t last = begin + token->begin; common_prefix(text, written) >= last)
    return end_of(text.substr(0, last), begin, tokenizer);
  if (thinks(answer)) return std::nullopt;
  const std::string_view mark = written.substr(begin + token->begin, token->end - token->begin);
  const std::string text_of_answer = text_of(answer);
  const auto is_whole = [&](std::string_view stands) {
    return written.substr(begin, token->end).ends_with(stands) &&
           stands.find(trimmed(text_of_answer)) != stands.npos &&
           std::ranges::all_of(answer.calls, [&](const ToolCall& call) {
             return stands.find(call.name) != stands.npos;
           });
  };
  // The first may be one that the answer quotes.
  for (size_t found = text.find(mark, begin); found != text.npos;
       found = text.find(mark, found + 1)) {
    const size_t end = found + mark.size();
    if (end - begin > token->end) break;
    if (is_whole(text.substr(begin, end - begin))) return end;
  }
  return std::nullopt;
}

}  // namespace

std::optional<TextPart> last_token(std::string_view text, const Tokenizer& tokenizer) {
  const std::vector<TextPart> parts = tokenizer.split_added(text);
  for (size_t i = parts.size(); i-- > 0;) {
    if (parts[i].id >= 0) return parts[i];
    if (!trimmed(text.substr(parts[i].begin, parts[i].end - parts[i].begin)).empty()) break;
  }
  return std::nullopt;
}

std::optional<TextSpan> answer_span(std::string_view text, const std::vector<ChatMessage>& messages,
                                    size_t at, const Beginnings& beginnings,
                                    const Tokenizer& tokenizer) {
  const bool is_last = at + 1 == messages.size();
  const std::optional<std::string> written =
      is_last ? std::string(text) : beginnings.write(at + 1, /*with_header=*/false);
  if (!written) return std::nullopt;
  const auto begin = begin_of(*written, at, beginnings);
  if (!begin || text.substr(0, *begin) != std::string_view(*written).substr(0, *begin))
    return std::nullopt;
  if (text.starts_with(*written)) return TextSpan{*begin, end_of(*written, *begin, tokenizer)};
  const auto end = end_of_rewritten(text, *written, *begin, messages[at], tokenizer);
  return end ? std::optional(TextSpan{*begin, *end}) : std::nullopt;
}

}  // namespace lmms::text
