#pragma once
/// Chats with images to samples: pixels as a vision tower takes them, and positions on three axes.
#include <nlohmann/json_fwd.hpp>
#include <string>

#include "data/chat_processor.h"
#include "data/rope_index.h"
#include "media/image.h"
#include "media/patches.h"

namespace lmms::data {

/// What a checkpoint's preprocessor_config.json says of images; `defaults` where a key is absent.
/// Faults name `where` and the key.
Result<media::PatchOptions> patch_options_of(const nlohmann::json& preprocessor,
                                             const std::string& where,
                                             const media::PatchOptions& defaults = {});

/// The token that stands for a feature of an image.
inline constexpr const char* kImagePad = "<|image_pad|>";

struct VisionChatOptions {
  media::PatchOptions patches;
  media::DecodeOptions decode;
  RopeIndexConfig positions;
  /// Decode while measuring too, so that what the header does not show is a fault of the record
  /// then: a policy can still leave it out.
  bool measure_pixels = false;
};

/// processor_types `qwen2_5_vl` and `qwen3_vl`: chat_messages_of() a record with images, as
/// ChatProcessor does it. Lengths come from the headers of the images; they are decoded when the
/// row is laid out. Videos and audio are faults: not built yet.
class VisionChatProcessor final : public Processor {
 public:
  /// `chat` must take media.
  VisionChatProcessor(text::ChatTemplate chat, VisionChatOptions options)
      : chat_(std::move(chat)), options_(std::move(options)) {}
  Result<Measured> measure(const Record& record) const override;
  Result<Sample> process(const Record& record) const override;

 private:
  struct Laid;  // a record's ids, with the files of its images
  Result<Laid> lay_out(const Record& record) const;
  Result<Sample> without_pixels(const Record& record, const Laid& laid) const;

  text::ChatTemplate chat_;
  VisionChatOptions options_;
  mutable ScratchPool scratch_;
};

}  // namespace lmms::data
