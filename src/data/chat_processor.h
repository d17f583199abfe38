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

/// The messages of a record (its conversation_of), as a chat template takes them. Without `pads`
/// media are faults.
Result<std::vector<text::ChatMessage>> chat_messages_of(const Record& record,
                                                        std::vector<Message> conversation,
                                                        const MediumPads& pads = {});

/// The fault of a part of a record as one of the record.
Fault of_record(const Record& record, const Fault& fault);

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

/// processor_type `qwen2`: chat_messages_of() a record, in the layout and with the labels of a chat
/// template.
class ChatProcessor final : public Processor {
 public:
  explicit ChatProcessor(text::ChatTemplate chat) : chat_(std::move(chat)) {}
  Result<Measured> measure(const Record& record) const override;
  Result<Sample> process(const Record& record) const override;
  Result<Sample> prompt(const Record& record) const override;

 private:
  text::ChatTemplate chat_;
  mutable ScratchPool scratch_;
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
  Result<Sample> prompt(const Record& record) const override;

 private:
  text::Tokenizer tokenizer_;
  bool append_eos_;
  mutable ScratchPool scratch_;
};

}  // namespace lmms::data
