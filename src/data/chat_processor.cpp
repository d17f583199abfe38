#include "data/chat_processor.h"

#include <utility>

#include "core/format.h"
#include "data/conversation.h"

namespace lmms::data {
namespace {

static_assert(kIgnore == text::kIgnoredLabel);

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
  return measure_text(*std::move(sample));
}

}  // namespace

Result<std::vector<text::ChatMessage>> chat_messages_of(const Record& record,
                                                        const MediumTokens& tokens) {
  auto messages = conversation_of(record);
  if (!messages) return messages.fault();
  std::vector<text::ChatMessage> result;
  for (size_t m = 0; m < messages->size(); ++m) {
    Message& from = (*messages)[m];
    text::ChatMessage message{std::move(from.role), {}};
    for (size_t p = 0; p < from.parts.size(); ++p) {
      auto& part = from.parts[p];
      if (part.kind == Part::Kind::text) {
        message.parts.push_back(
            {.kind = text::PartKind::text, .text = std::move(part.text), .tokens = 1});
        continue;
      }
      const auto at = [&] {
        return fmt::format("{}: messages[{}].content[{}]", record.origin.text(), m, p);
      };
      if (!tokens) {
        return Fault{
            at(),
            fmt::format("{} ('{}'): the processor takes text only", plural_of(part.kind), part.url),
            "set processor_config.processor_type to one that reads them"};
      }
      const auto count = tokens(part);
      if (!count) {
        const Fault& fault = count.fault();
        return Fault{at(), fault.where.empty() ? fault.what : fault.where + ": " + fault.what,
                     fault.fix};
      }
      message.parts.push_back({.kind = kind_of(part.kind), .text = "", .tokens = *count});
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
  auto messages = chat_messages_of(record);
  if (!messages) return messages.fault();
  if (messages->empty()) return sample_of(record, {});
  ScratchPool::Lease scratch(scratch_);
  auto labelled = chat_.encode(*messages, *scratch);
  if (!labelled) {
    const auto& fault = labelled.fault();
    return Fault{record.origin.text(), fmt::format("{}: {}", fault.where, fault.what), fault.fix};
  }
  return sample_of(record, *std::move(labelled));
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

}  // namespace lmms::data
