#include "data/chat_processor.h"

#include <utility>

#include "core/format.h"
#include "core/log.h"
#include "data/conversation.h"

namespace lmms::data {
namespace {

static_assert(kIgnore == text::kIgnoredLabel);

Sample prompt_of(const Origin& record, std::vector<int32_t> ids) {
  Sample sample;
  sample.origin = record;
  sample.text.labels.assign(ids.size(), kIgnore);
  sample.text.input_ids = std::move(ids);
  return sample;
}

Sample sample_of(const Record& record, text::LabelledIds labelled) {
  Sample sample;
  sample.origin = record.origin;
  sample.text.labels = labelled.shifted_labels();
  sample.text.input_ids = std::move(labelled.ids);
  return sample;
}

std::string_view plural_of(Part::Kind kind) {
  switch (kind) {
    case Part::Kind::image:
      return "images";
    case Part::Kind::video:
      return "videos";
    case Part::Kind::audio:
      return "audio";
    case Part::Kind::text:
      return "text";
  }
  return "?";
}

text::PartKind kind_of(Part::Kind kind) {
  switch (kind) {
    case Part::Kind::image:
      return text::PartKind::image;
    case Part::Kind::video:
      return text::PartKind::video;
    case Part::Kind::audio:
      return text::PartKind::audio;
    case Part::Kind::text:
      break;
  }
  return text::PartKind::text;
}

Result<Measured> measured(Result<Sample> sample) {
  if (!sample) return sample.fault();
  return measure_sample(*std::move(sample));
}

}  // namespace

Processor::TurnTokens turn_tokens_of(const text::ChatTemplate& chat) {
  return {.start = chat.start_of_turn(), .end = chat.end_of_turn()};
}

Fault of_record(const Origin& record, const Fault& fault) {
  return {record.text(),
          fault.where.empty() ? fault.what : fmt::format("{}: {}", fault.where, fault.what),
          fault.fix};
}

Result<text::Chat> chat_of(const Conversation& conversation, const MediumPads& pads) {
  text::Chat chat{conversation.tools, {}};
  for (size_t m = 0; m < conversation.messages.size(); ++m) {
    const Message& from = conversation.messages[m];
    text::ChatMessage message{from.role,    {},           from.reasoning, from.calls,
                              from.trained, from.content, from.name,      from.call_id};
    for (size_t p = 0; p < from.parts.size(); ++p) {
      const Part& part = from.parts[p];
      if (part.kind == Part::Kind::text) {
        message.parts.push_back({.text = part.text, .in_text = part.in_text});
        continue;
      }
      const auto at = [&] {
        return fmt::format("{}: messages[{}].content[{}]", conversation.origin.text(), m, p);
      };
      if (!pads) {
        return Fault{at(),
                     fmt::format("{} ('{}'): the processor takes text only", plural_of(part.kind),
                                 part.source_name()),
                     "set processor_config.processor_type to one that reads them"};
      }
      auto runs = pads(part);
      if (!runs) {
        const Fault& fault = runs.fault();
        return Fault{at(), fault.where.empty() ? fault.what : fault.where + ": " + fault.what,
                     fault.fix};
      }
      message.parts.push_back(
          {.kind = kind_of(part.kind), .pads = *std::move(runs), .in_text = part.in_text});
    }
    chat.messages.push_back(std::move(message));
  }
  return chat;
}

void ChatNotices::notice_layouts(const text::Chat& chat, const text::ToolLayout& layout,
                                 const Origin& record) {
  using Form = text::ToolLayout::Form;
  if (layout.tools == Form::none && text::has_tools(chat)) {
    std::call_once(tools_, [&] {
      log::notice(
          fmt::format("{}: the chat template of the checkpoint knows no tools: tools, calls "
                      "and results are laid out as Qwen2.5's does",
                      record.text()));
    });
  }
  if (layout.reasoning == Form::none && text::has_reasoning(chat)) {
    std::call_once(reasoning_, [&] {
      log::notice(
          fmt::format("{}: the chat template of the checkpoint knows no reasoning_content: "
                      "it is laid out as Qwen3's does",
                      record.text()));
    });
  }
}

void ChatNotices::notice_quoted(const UnfiledTag& tag, const Origin& record) {
  std::call_once(quoted_, [&] {
    log::notice(
        fmt::format("{}: {}: {} stands in a text, and no column of the record can hold its "
                    "file: it is taken as text, here and in records like it",
                    record.text(), tag.where, tag.tag));
  });
}

void ChatNotices::notice_rewritten(size_t rewritten, const Origin& record) {
  if (rewritten == 0) return;
  std::call_once(rewritten_, [&] {
    log::notice(fmt::format(
        "{}: the checkpoint's chat template writes an earlier answer of this chat, or what is "
        "before "
        "it, otherwise than when it asks for that answer: such answers are no targets, here and in "
        "records like it; to train all of them, make a record of each question",
        record.text()));
  });
}

std::unique_ptr<text::Tokenizer::Scratch> ScratchPool::take() {
  {
    std::lock_guard lock(mutex_);
    if (!free_.empty()) {
      auto scratch = std::move(free_.back());
      free_.pop_back();
      return scratch;
    }
  }
  return std::make_unique<text::Tokenizer::Scratch>();
}

void ScratchPool::put(std::unique_ptr<text::Tokenizer::Scratch> scratch) {
  std::lock_guard lock(mutex_);
  free_.push_back(std::move(scratch));
}

Result<Measured> ChatProcessor::measure(const Record& record) const {
  return measured(process(record));
}

Result<Sample> ChatProcessor::process(const Record& record) const {
  const auto conversation = conversation_of(record);
  if (!conversation) return conversation.fault();
  const auto chat = chat_of(*conversation);
  if (!chat) return chat.fault();
  if (chat->messages.empty()) return sample_of(record, {});
  notices_.notice_layouts(*chat, chat_.tool_layout(), record.origin);
  ScratchPool::Lease scratch(scratch_);
  auto labelled = chat_.encode(*chat, *scratch);
  if (!labelled) return of_record(record.origin, labelled.fault());
  notices_.notice_rewritten(labelled->rewritten, record.origin);
  return sample_of(record, *std::move(labelled));
}

Result<Sample> ChatProcessor::prompt(const Conversation& conversation) const {
  const auto chat = chat_of(conversation);
  if (!chat) return chat.fault();
  ScratchPool::Lease scratch(scratch_);
  auto ids = chat_.encode_prompt(*chat, *scratch);
  if (!ids) return of_record(conversation.origin, ids.fault());
  return prompt_of(conversation.origin, *std::move(ids));
}

Result<Measured> PlainTextProcessor::measure(const Record& record) const {
  return measured(process(record));
}

Result<Sample> PlainTextProcessor::process(const Record& record) const {
  auto text = plain_text_of(record);
  if (!text) return text.fault();
  ScratchPool::Lease scratch(scratch_);
  return sample_of(record, text::encode_plain_text(tokenizer_, *text, append_eos_, *scratch));
}

Result<Sample> PlainTextProcessor::prompt(const Conversation& conversation) const {
  return Fault{conversation.origin.text(), "a conversation has turns, and a plain text knows none",
               "set processor_config.processor_type to one of chats"};
}

}  // namespace lmms::data
