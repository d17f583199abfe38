#include "text/added_tokens.h"

#include <algorithm>
#include <cstring>

#include "text/unicode/categories.h"
#include "text/unicode/utf8.h"

namespace lmms::text {
namespace {

/// `\w` of Rust's regex: Alphabetic, M, Nd, Pc and join controls (Unicode Technical Standard 18,
/// annex C).
bool is_word(char32_t c) {
  using unicode::Category;
  const Category category = unicode::category(c);
  return unicode::is_letter(c) || unicode::is_mark(c) || category == Category::Nd ||
         category == Category::Nl || category == Category::Pc || c == 0x200C || c == 0x200D ||
         (c >= 0x24B6 && c <= 0x24E9) || (c >= 0x1F130 && c <= 0x1F149) ||
         (c >= 0x1F150 && c <= 0x1F169) || (c >= 0x1F170 && c <= 0x1F189);
}

bool word_before(std::string_view text, size_t at) {
  if (at == 0) return false;
  const char* character = text.data() + at;
  return is_word(unicode::previous(character));
}

bool word_at(std::string_view text, size_t at) {
  if (at == text.size()) return false;
  const char* character = text.data() + at;
  return is_word(unicode::next(character));
}

size_t spaces_before(std::string_view text, size_t at) {
  const char* here = text.data() + at;
  while (here > text.data()) {
    const char* character = here;
    if (!unicode::is_space(unicode::previous(character))) break;
    here = character;
  }
  return static_cast<size_t>(here - text.data());
}

size_t spaces_behind(std::string_view text, size_t at) {
  const char* here = text.data() + at;
  const char* end = text.data() + text.size();
  while (here < end) {
    const char* character = here;
    if (!unicode::is_space(unicode::next(character))) break;
    here = character;
  }
  return static_cast<size_t>(here - text.data());
}

}  // namespace

void AddedTokenFinder::add(const AddedToken& token, std::string_view pattern) {
  if (pattern.empty()) return;
  uint32_t node = 0;
  for (const char character : pattern) {
    const auto byte = static_cast<uint8_t>(character);
    auto& next = nodes_[node].next;
    const auto at = std::ranges::lower_bound(next, byte, {}, &std::pair<uint8_t, uint32_t>::first);
    if (at != next.end() && at->first == byte) {
      node = at->second;
      continue;
    }
    const auto made = static_cast<uint32_t>(nodes_.size());
    next.insert(at, {byte, made});
    nodes_.emplace_back();
    node = made;
  }
  nodes_[node].token = static_cast<int32_t>(tokens_.size());
  tokens_.push_back(token);
  const auto first = static_cast<uint8_t>(pattern[0]);
  if (!begins_[first]) first_bytes_.push_back(pattern[0]);
  begins_[first] = true;
}

int32_t AddedTokenFinder::longest_at(std::string_view text, size_t at, size_t& end) const {
  int32_t found = -1;
  uint32_t node = 0;
  for (size_t i = at; i < text.size(); ++i) {
    const auto& next = nodes_[node].next;
    const auto byte = static_cast<uint8_t>(text[i]);
    const auto step =
        std::ranges::lower_bound(next, byte, {}, &std::pair<uint8_t, uint32_t>::first);
    if (step == next.end() || step->first != byte) break;
    node = step->second;
    if (nodes_[node].token >= 0) {
      found = nodes_[node].token;
      end = i + 1;
    }
  }
  return found;
}

void AddedTokenFinder::split(std::string_view text, std::vector<TextPart>& parts) const {
  size_t covered = 0;
  for (size_t at = 0; at < text.size() && !tokens_.empty();) {
    if (first_bytes_.size() == 1) {
      const void* hit = std::memchr(text.data() + at, first_bytes_[0], text.size() - at);
      if (hit == nullptr) break;
      at = static_cast<size_t>(static_cast<const char*>(hit) - text.data());
    } else {
      while (at < text.size() && !begins_[static_cast<uint8_t>(text[at])]) ++at;
      if (at == text.size()) break;
    }
    size_t end = 0;
    const int32_t found = longest_at(text, at, end);
    if (found < 0) {
      ++at;
      continue;
    }
    // As HF: the search goes on behind the match itself, whatever white space it took and whether
    // it counted or not.
    const AddedToken& token = tokens_[static_cast<size_t>(found)];
    size_t begin = at;
    at = end;
    if (token.single_word && (word_before(text, begin) || word_at(text, end))) continue;
    if (token.lstrip) begin = std::max(spaces_before(text, begin), covered);
    if (token.rstrip) end = spaces_behind(text, end);
    if (covered < begin) parts.push_back({covered, begin, -1});
    parts.push_back({begin, end, token.id});
    covered = end;
  }
  if (covered < text.size()) parts.push_back({covered, text.size(), -1});
}

}  // namespace lmms::text
