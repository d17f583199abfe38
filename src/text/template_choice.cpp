#include "text/template_choice.h"

#include <algorithm>

namespace lmms::text {
namespace {

ChatMessage message(std::string role, std::string text) {
  return {std::move(role), {ChatPart{PartKind::text, std::move(text)}}};
}

ChatMessage with_image(bool first) {
  const ChatPart image{.kind = PartKind::image, .pads = {PadRun{}}};
  ChatMessage asked = message("user", "What is it?");
  asked.parts.insert(first ? asked.parts.begin() : asked.parts.end(), image);
  asked.content = ContentForm::parts;
  return asked;
}

std::vector<Chat> probes(const ChatTemplate& built_in, const CheckpointTemplate& own, bool media) {
  const ChatMessage system = message("system", "Be brief.");
  std::vector<Chat> chats;
  chats.push_back({{}, {system, message("user", "Hi"), message("assistant", "Hello.")}});
  chats.push_back({{},
                   {system, message("user", "One?\n"), message("assistant", " 1"),
                    message("user", "Grüße, 世界"), message("assistant", "two\n\nlines \n")}});
  if (own.knows_tools()) {
    ChatMessage call = message("assistant", "");
    call.calls.push_back({"f", R"({"a": 1})"});
    chats.push_back({{R"({"type": "function", "function": {"name": "f", "parameters": {}}})"},
                     {system, message("user", "Hi"), call, message("tool", "1"),
                      message("tool", "2"), message("assistant", "Done.")}});
  }
  if (own.knows_reasoning()) {
    ChatMessage thought = message("assistant", "4");
    thought.reasoning = "Two and two.";
    chats.push_back({{}, {system, message("user", "2+2?"), thought}});
  }
  if (media) {
    for (const bool first : {true, false}) {
      if (!first && built_in.layout().media_first) continue;
      chats.push_back({{}, {system, with_image(first), message("assistant", "A cat.")}});
    }
  }
  return chats;
}

}  // namespace

bool lay_out_the_same(const ChatTemplate& built_in, const ChatTemplate& own) {
  Tokenizer::Scratch scratch;
  const auto chats = probes(built_in, *own.own(), built_in.takes_media());
  return std::ranges::all_of(chats, [&](const Chat& chat) {
    const auto a = built_in.encode(chat, scratch), b = own.encode(chat, scratch);
    if (!a || !b || a->ids != b->ids) return false;
    const auto asked = built_in.encode_prompt(chat, scratch),
               also = own.encode_prompt(chat, scratch);
    return asked && also && *asked == *also;
  });
}

}  // namespace lmms::text
