#pragma once
/// Tokens that are found in a text as they are written, before anything else happens to it.
#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace lmms::text {

/// One of tokenizer.json's `added_tokens`.
struct AddedToken {
  int32_t id = -1;
  std::string content;
  bool single_word = false;  ///< only where no word character stands beside it
  bool lstrip = false;       ///< takes the white space before it along
  bool rstrip = false;       ///< and after it
  bool normalized = true;    ///< looked for in the normalised text
  bool special = false;      ///< left out by decode(skip_special)

  bool operator==(const AddedToken&) const = default;
};

/// A part of a text: an added token, or what lies between (id -1).
struct TextPart {
  size_t begin, end;
  int32_t id;
};

/// Finds a set of tokens, at each place the longest.
class AddedTokenFinder {
 public:
  AddedTokenFinder() = default;
  /// `pattern` is what is looked for: the content, normalised where the token asks for it.
  void add(const AddedToken& token, std::string_view pattern);
  bool empty() const { return tokens_.empty(); }
  /// Covers the text with parts, in order. A token that swallowed white space includes it; an empty
  /// text has no parts.
  void split(std::string_view text, std::vector<TextPart>& parts) const;

 private:
  struct Node {
    int32_t token = -1;                              ///< index of the token that ends here
    std::vector<std::pair<uint8_t, uint32_t>> next;  ///< by byte
  };
  int32_t longest_at(std::string_view text, size_t at, size_t& end) const;

  std::vector<AddedToken> tokens_;
  std::vector<Node> nodes_{Node{}};
  std::array<bool, 256> begins_{};
  std::string first_bytes_;
};

}  // namespace lmms::text
