#pragma once
/// Tokens as text that can be looked at.
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "text/tokenizer.h"

namespace lmms::inspect::preview {

/// The text of each token, valid UTF-8. A character whose bytes lie in several tokens belongs to
/// the last of them and the others are empty; bytes that are no character become U+FFFD.
std::vector<std::string> token_texts(std::span<const int32_t> ids,
                                     const text::Tokenizer& tokenizer);

/// How line breaks come out of visible().
enum class Newline {
  kept,    ///< "↵" and the line break
  marked,  ///< "↵" alone
};

/// Text whose invisible characters are shown and that no terminal obeys: tab ⇥, other control
/// characters by their pictures (␛), characters that steer layout (directions, zero widths) as
/// \u{202E}. Bytes that are no UTF-8 become U+FFFD.
std::string visible(std::string_view text, Newline newline);

/// Bytes of a token as "e2 98 83".
std::string hex(std::string_view bytes);

/// Columns that a text takes in a terminal: two for wide East Asian characters and emoji, none for
/// combining marks.
int width_of(std::string_view text);
int width_of(char32_t c);
/// The text, or as much of its beginning as fits `columns` with an ellipsis behind it.
std::string shortened(std::string_view text, int columns);

}  // namespace lmms::inspect::preview
