/// Recognises the layout of a checkpoint's Jinja template by its marks, without running it.
#include <array>

#include "core/format.h"
#include "text/chat_template.h"
#include "text/jinja_text.h"

namespace lmms::text {

std::string with_breaks(std::string_view jinja) {
  std::string out;
  for (size_t i = 0; i < jinja.size(); ++i) {
    const bool escaped = jinja[i] == '\\' && i + 1 < jinja.size() && jinja[i + 1] == 'n';
    out.push_back(escaped ? '\n' : jinja[i]);
    i += escaped ? 1 : 0;
  }
  return out;
}

namespace {

/// Whether `mark` is somewhere followed by a line break, in the same literal or the next:
/// "<|im_end|>\n", "<|im_end|>' + '\n".
bool ends_a_line(std::string_view text, std::string_view mark) {
  for (size_t at = text.find(mark); at != text.npos; at = text.find(mark, at + 1)) {
    size_t next = at + mark.size();
    while (next < text.size() &&
           std::string_view("'\" +~").find(text[next]) != std::string_view::npos)
      ++next;
    if (next < text.size() && text[next] == '\n') return true;
  }
  return false;
}

/// The system text that a template writes out by itself, if it does.
std::optional<std::string_view> default_system(std::string_view text) {
  constexpr std::string_view open = "<|im_start|>system\n", close = "<|im_end|>";
  for (size_t at = text.find(open); at != text.npos; at = text.find(open, at + 1)) {
    const size_t begin = at + open.size();
    const size_t end = text.find(close, begin);
    if (end == text.npos) return std::nullopt;
    const std::string_view inside = text.substr(begin, end - begin);
    const bool literal = inside.find_first_of("{}'\"+") == inside.npos;
    if (literal && !inside.empty()) return inside;
  }
  return std::nullopt;
}

constexpr std::array<std::string_view, 6> kOtherLayouts = {
    "[INST]", "<|start_header_id|>", "<start_of_turn>", "<|user|>", "<｜User｜>", "### "};

}  // namespace

std::optional<std::string> describe_template_difference(std::string_view jinja,
                                                        const ChatOptions& options) {
  if (jinja.empty()) return std::nullopt;
  const std::string text = with_breaks(jinja);
  const auto has = [&](std::string_view mark) { return text.find(mark) != text.npos; };
  std::string found;
  const auto say = [&](const std::string& difference) {
    found += (found.empty() ? "" : "; ") + difference;
  };
  if (!has("<|im_start|>") || !has("<|im_end|>")) {
    std::string marks;
    for (const std::string_view mark : kOtherLayouts) {
      if (has(mark)) marks += fmt::format("{}'{}'", marks.empty() ? " but with " : ", ", mark);
    }
    say(fmt::format("it does not frame turns with <|im_start|> and <|im_end|>{}", marks));
  } else {
    if (!ends_a_line(text, "<|im_end|>"))
      say("its turns do not end with <|im_end|> and a line break");
    if (!has("<|im_start|>assistant"))
      say("it has no header '<|im_start|>assistant' for the answer");
    const auto system = default_system(text);
    const std::string ours = options.layout.default_system.value_or("");
    if (!system) {
      say(fmt::format("without a system turn it writes none, training writes '{}'", ours));
    } else if (*system != ours) {
      say(fmt::format("without a system turn it writes '{}', training writes '{}'", *system, ours));
    }
  }
  if (has("bos_token")) say("it begins with bos_token");
  if (has("<think>") || has("reasoning_content"))
    say("it puts <think>..</think> into the assistant's turn; training takes the texts of chats "
        "without tools and reasoning_content as they are");
  if (found.empty()) return std::nullopt;
  return "the checkpoint's chat template differs from the layout of training: " + found;
}

}  // namespace lmms::text
