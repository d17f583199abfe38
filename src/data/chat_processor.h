#pragma once
/// Records of text to samples: chats and plain text.
#include <functional>
#include <memory>
#include <mutex>
#include <vector>

#include "data/conversation.h"
#include "data/processor.h"
#include "text/chat_template.h"
#include "text/tokenizer.h"

namespace lmms::data {

/// The pads that stand for an image, video or audio of a record; a fault for what is not taken.
using MediumPads = std::function<Result<std::vector<text::PadRun>>(const Part& medium)>;

/// A conversation as a chat template takes it. Without `pads` media are faults.
Result<text::Chat> chat_of(const Conversation& conversation, const MediumPads& pads = {});

/// Of the layout of a chat template.
Processor::TurnTokens turn_tokens_of(const text::ChatTemplate& chat);

/// The fault of a part of a record as one of the record.
Fault of_record(const Origin& record, const Fault& fault);

/// Says once what chats come to hold that a layout is chosen for, or that is left as it is.
class ChatNotices {
 public:
  void notice_layouts(const text::Chat& chat, const text::ToolLayout& layout, const Origin& record);
  void notice_quoted(const UnfiledTag& tag, const Origin& record);
  /// `rewritten`: answers that are no targets.
  void notice_rewritten(size_t rewritten, const Origin& record);

 private:
  std::once_flag tools_, reasoning_, quoted_, rewritten_;
};

/// Tokenizer scratch space for as many threads as ask at once. It makes encoding faster and changes
/// no id.
class ScratchPool {
 public:
  /// Takes a scratch for the life of this object.
  class Lease {
   public:
    explicit Lease(ScratchPool& pool) : pool_(pool), scratch_(pool.take()) {}
    ~Lease() { pool_.put(std::move(scratch_)); }
    Lease(const Lease&) = delete;
    Lease& operator=(const Lease&) = delete;
    text::Tokenizer::Scratch& operator*() { return *scratch_; }

   private:
    ScratchPool& pool_;
    std::unique_ptr<text::Tokenizer::Scratch> scratch_;
  };

 private:
  std::unique_ptr<text::Tokenizer::Scratch> take();
  void put(std::unique_ptr<text::Tokenizer::Scratch> scratch);
  std::mutex mutex_;
  std::vector<std::unique_ptr<text::Tokenizer::Scratch>> free_;
};

/// processor_types `qwen2` and `llama3`: chat_of() a record, in the layout and with the labels of a
/// chat template.
class ChatProcessor final : public Processor {
 public:
  explicit ChatProcessor(text::ChatTemplate chat) : chat_(std::move(chat)) {}
  Result<Measured> measure(const Record& record) const override;
  Result<Sample> process(const Record& record) const override;
  Result<Sample> prompt(const Conversation& conversation) const override;
  std::optional<TurnTokens> turn_tokens() const override { return turn_tokens_of(chat_); }
  const text::ChatTemplate* chat_template() const override { return &chat_; }

 private:
  text::ChatTemplate chat_;
  mutable ScratchPool scratch_;
  mutable ChatNotices notices_;
};

/// processor_type `pure_text`: the field `text`, every token a target. The Python project cuts such
/// texts at packing_length: OnOverlong::truncate.
class PlainTextProcessor final : public Processor {
 public:
  /// `append_eos`: end every text with the tokenizer's EOS; the Python project does not.
  explicit PlainTextProcessor(text::Tokenizer tokenizer, bool append_eos = false)
      : tokenizer_(std::move(tokenizer)), append_eos_(append_eos) {}
  Result<Measured> measure(const Record& record) const override;
  Result<Sample> process(const Record& record) const override;
  Result<Sample> prompt(const Conversation& conversation) const override;

 private:
  text::Tokenizer tokenizer_;
  bool append_eos_;
  mutable ScratchPool scratch_;
};

}  // namespace lmms::data
