#pragma once
/// Ids of a text that is still being written, as text that can be shown.
#include <cstdint>
#include <string>

#include "text/tokenizer.h"

namespace lmms::text {

/// Tokens end inside of characters: what is not yet a whole one is held back. Special tokens
/// vanish. All pieces together are Tokenizer::decode(ids, skip_special = true).
class TextStream {
 public:
  explicit TextStream(Tokenizer tokenizer) : tokenizer_(std::move(tokenizer)) {}
  /// What of the text is certain now and was not before.
  std::string add(int32_t id);
  /// The rest: bytes that never became a character are U+FFFD.
  std::string finish();

 private:
  Tokenizer tokenizer_;
  std::string held_;  // bytes that may be the beginning of a character
};

}  // namespace lmms::text
