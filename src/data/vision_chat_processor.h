#pragma once
/// Chats with images and videos to samples.
#include <memory>

#include "data/chat_processor.h"
#include "data/media_format.h"

namespace lmms::data {

/// chat_of() a record with media, as ChatProcessor does it; what the media become is the
/// format's. Lengths come from the headers of the files; they are decoded when the row is laid out.
class VisionChatProcessor final : public Processor {
 public:
  /// `chat` must take media. `measure_pixels`: decode while measuring too, so that what a header
  /// does not show is a fault of the record then, and a policy can still leave it out.
  VisionChatProcessor(text::ChatTemplate chat, std::shared_ptr<const MediaFormat> format,
                      bool measure_pixels = false)
      : chat_(std::move(chat)), format_(std::move(format)), measure_pixels_(measure_pixels) {}
  Result<Measured> measure(const Record& record) const override;
  Result<Sample> process(const Record& record) const override;
  Result<Sample> prompt(const Conversation& conversation) const override;
  std::optional<TurnTokens> turn_tokens() const override { return turn_tokens_of(chat_); }
  const text::ChatTemplate* chat_template() const override { return &chat_; }
  std::vector<MediumView> view_media(const Record& record, Pixels pixels) const override;

 private:
  struct Undecoded;  // a sample without pixels, and the files of its media
  enum class Form { training, prompt };
  Result<Undecoded> lay_out(const Record& record) const;
  Result<Undecoded> lay_out(Conversation conversation, Form form) const;
  Result<Sample> with_pixels(Result<Undecoded> made) const;

  text::ChatTemplate chat_;
  std::shared_ptr<const MediaFormat> format_;
  bool measure_pixels_;
  mutable ScratchPool scratch_;
  mutable ChatNotices notices_;
};

}  // namespace lmms::data
