#include "data/chat_processor.h"

#include <utility>

#include "core/format.h"
#include "data/conversation.h"

namespace lmms::data {
namespace {

static_assert(kIgnore == text::kIgnoredLabel);

Sample prompt_of(const Record& record, std::vector<int32_t> ids) {
  Sample sample;
  sample.origin = record.origin;
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

Result<std::vector<text::ChatMessage>> text_chat_of(const Record& record) {
  auto conversation = conversation_of(record);
  if (!conversation) return conversation.fault();
  return chat_messages_of(record, *std::move(conversation));
}

Result<Measured> measured(Result<Sample> sample) {
  if (!sample) return sample.fault();
  return measure_text(*std::move(sample));
}

}  // namespace

Fault of_record(const Record& record, const Fault& fault) {
  return {record.origin.text(),
          fault.where.empty() ? fault.what : fmt::format("{}: {}", fault.where, fault.what),
          fault.fix};
}

Result<std::vector<text::ChatMessage>> chat_messages_of(const Record& record,
                                                        std::vector<Message> conversation,
                                                        const MediumPads& pads) {
  std::vector<text::ChatMessage> result;
  for (size_t m = 0; m < conversation.size(); ++m) {
    Message& from = conversation[m];
    text::ChatMessage message{std::move(from.role), {}};
    for (size_t p = 0; p < from.parts.size(); ++p) {
      auto& part = from.parts[p];
      if (part.kind == Part::Kind::text) {
        message.parts.push_back({.kind = text::PartKind::text, .text = std::move(part.text)});
        continue;
      }
      const auto at = [&] {
        return fmt::format("{}: messages[{}].content[{}]", record.origin.text(), m, p);
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
      message.parts.push_back({.kind = kind_of(part.kind), .pads = *std::move(runs)});
    }
    result.push_back(std::move(message));
  }
  return result;
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
  const auto messages = text_chat_of(record);
  if (!messages) return messages.fault();
  if (messages->empty()) return sample_of(record, {});
  ScratchPool::Lease scratch(scratch_);
  auto labelled = chat_.encode(*messages, *scratch);
  if (!labelled) return of_record(record, labelled.fault());
  return sample_of(record, *std::move(labelled));
}

Result<Sample> ChatProcessor::prompt(const Record& record) const {
  const auto messages = text_chat_of(record);
  if (!messages) return messages.fault();
  ScratchPool::Lease scratch(scratch_);
  auto ids = chat_.encode_prompt(*messages, *scratch);
  if (!ids) return of_record(record, ids.fault());
  return prompt_of(record, *std::move(ids));
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

Result<Sample> PlainTextProcessor::prompt(const Record& record) const {
  auto text = plain_text_of(record);
  if (!text) return text.fault();
  ScratchPool::Lease scratch(scratch_);
  return prompt_of(record, text::encode_plain_text(tokenizer_, *text, false, *scratch).ids);
}

}  // namespace lmms::data
