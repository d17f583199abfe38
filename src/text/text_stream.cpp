#include "text/text_stream.h"

#include "text/unicode/utf8.h"

namespace lmms::text {
namespace {

constexpr std::string_view kReplacement = "\xEF\xBF\xBD";

}  // namespace

std::string TextStream::add(int32_t id) {
  if (tokenizer_.decode({&id, 1}, /*skip_special=*/true).empty()) return {};
  held_ += tokenizer_.bytes(id);
  std::string out;
  while (!held_.empty()) {
    const size_t valid = unicode::valid_prefix(held_);
    out.append(held_, 0, valid);
    held_.erase(0, valid);
    // the first piece that one U+FFFD would stand for; if that is all, it may still grow
    size_t piece = 1;
    while (piece < held_.size() &&
           unicode::replace_invalid(std::string_view(held_).substr(0, piece + 1)) == kReplacement) {
      ++piece;
    }
    if (piece >= held_.size()) break;
    out += kReplacement;
    held_.erase(0, piece);
  }
  return out;
}

std::string TextStream::finish() {
  return unicode::replace_invalid(std::exchange(held_, {}));
}

}  // namespace lmms::text
