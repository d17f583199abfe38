#include "text/bpe.h"

#include <algorithm>
#include <bit>
#include <cstring>

namespace lmms::text {
namespace {

uint64_t load(const char* at, size_t bytes) {
  uint64_t word = 0;
  std::memcpy(&word, at, bytes);
  return word;
}

constexpr int kIdBits = 22, kRankBits = 20;
constexpr uint64_t kNoPair = ~uint64_t{0};
constexpr uint64_t kRankMask = (uint64_t{1} << kRankBits) - 1;

uint64_t pair_key(int32_t left, int32_t right) {
  return static_cast<uint64_t>(left) << kIdBits | static_cast<uint64_t>(right);
}

uint64_t pair_hash(uint64_t key) {
  return key * 0x9E3779B97F4A7C15u;
}

constexpr size_t kFilterBits = 1 << 18;

/// The first byte of a character of three.
bool is_lead(char byte) {
  return (static_cast<uint8_t>(byte) & 0xF0) == 0xE0;
}

/// Two characters of three bytes each, as a place in the filter.
size_t filter_place(const char* six) {
  return (load(six, 4) | load(six + 2, 4) << 32) * 0x9E3779B97F4A7C15u >>
         (64 - std::countr_zero(kFilterBits));
}

size_t byte_place(char left, char right) {
  return static_cast<size_t>(static_cast<uint8_t>(left)) << 8 | static_cast<uint8_t>(right);
}

void set_bit(std::vector<uint64_t>& bits, size_t at) {
  bits[at / 64] |= uint64_t{1} << at % 64;
}
bool get_bit(const std::vector<uint64_t>& bits, size_t at) {
  return (bits[at / 64] >> at % 64 & 1) != 0;
}

/// A power of two that is at most three quarters full.
size_t table_size(size_t entries) {
  return std::bit_ceil(std::max<size_t>(entries + entries / 3, 16));
}

int shift_of(size_t slots) {
  return 64 - std::countr_zero(slots);
}

}  // namespace

Bpe::Bpe(const std::vector<Token>& tokens, const std::vector<Merge>& merges, BpeOptions options)
    : options_(options) {
  bytes_.fill(-1);
  for (const Token& token : tokens) {
    if (token.bytes.size() == 1) bytes_[static_cast<uint8_t>(token.bytes[0])] = token.id;
  }
  add_merges(merges);
  // A word that is a token may skip the merging exactly if merging ends in that token. In the order
  // of ids, which is that of frequency, so that common words lie together.
  std::vector<const Token*> by_id;
  for (const Token& token : tokens) by_id.push_back(&token);
  std::ranges::sort(by_id, {}, &Token::id);
  slots_.resize(table_size(tokens.size()));
  word_shift_ = shift_of(slots_.size());
  joined_characters_.resize(kFilterBits / 64);
  joined_bytes_.resize(256 * 256 / 64);
  may_cut_ = std::ranges::find(bytes_, -1) == bytes_.end();
  Scratch scratch;
  for (const Token* token : by_id) {
    if (token->bytes.empty()) continue;
    merge(token->bytes, scratch);
    const bool merges_to_it = scratch.ids_.size() == 1 && scratch.ids_[0] == token->id;
    if (merges_to_it || options_.ignore_merges) add_word(token->bytes, token->id, merges_to_it);
    add_borders(token->bytes);
  }
}

void Bpe::add_merges(const std::vector<Merge>& merges) {
  pairs_.assign(table_size(merges.size()), kNoPair);
  pair_shift_ = shift_of(pairs_.size());
  for (size_t rank = 0; rank < merges.size(); ++rank) {
    const uint64_t key = pair_key(merges[rank].left, merges[rank].right);
    size_t at = pair_hash(key) >> pair_shift_;
    while (pairs_[at] != kNoPair && pairs_[at] >> kRankBits != key)
      at = (at + 1) & (pairs_.size() - 1);
    pairs_[at] = key << kRankBits | rank;
    results_.push_back(merges[rank].result);
  }
}

inline Bpe::Key Bpe::key_of(std::string_view word) {
  const char* at = word.data();
  const size_t n = word.size();
  Key key{0, static_cast<uint64_t>(n) << 56};
  if (n > 8) {
    key.low = load(at, 8);
    key.high |= load(at + n - 8, 8) >> (8 * (16 - n));
  } else if (n >= 4) {
    key.low = load(at, 4) | load(at + n - 4, 4) << (8 * (n - 4));
  } else if (n > 0) {
    const auto byte = [at](size_t i) { return static_cast<uint64_t>(static_cast<uint8_t>(at[i])); };
    key.low = byte(0) | byte(n / 2) << (8 * (n / 2)) | byte(n - 1) << (8 * (n - 1));
  }
  return key;
}

inline uint64_t Bpe::hash(Key key) {
  const auto product = static_cast<unsigned __int128>(key.low ^ 0xD6E8FEB86659FD93u) *
                       (key.high ^ 0x9E3779B97F4A7C15u);
  return (static_cast<uint64_t>(product) ^ static_cast<uint64_t>(product >> 64)) *
         0x9E3779B97F4A7C15u;
}

inline uint32_t Bpe::rank_of(int32_t left, int32_t right) const {
  const uint64_t key = pair_key(left, right);
  for (size_t at = pair_hash(key) >> pair_shift_;; at = (at + 1) & (pairs_.size() - 1)) {
    if (pairs_[at] == kNoPair) return kNoMerge;
    if (pairs_[at] >> kRankBits == key) return static_cast<uint32_t>(pairs_[at] & kRankMask);
  }
}

inline const Bpe::Word* Bpe::find_word(Key key, uint64_t hashed) const {
  const auto tag = static_cast<uint32_t>(hashed);
  for (size_t at = hashed >> word_shift_;; at = (at + 1) & (slots_.size() - 1)) {
    const WordSlot slot = slots_[at];
    if (slot.word < 0) return nullptr;
    if (slot.tag != tag) continue;
    const Word& word = words_[static_cast<size_t>(slot.word)];
    if (word.key == key) return &word;
  }
}

void Bpe::add_word(std::string_view word, int32_t id, bool merges) {
  if (word.size() > kLongestKey) {
    if (long_words_.add(word) == long_ids_.size()) long_ids_.push_back(id);
    return;
  }
  const Key key = key_of(word);
  const uint64_t hashed = hash(key);
  size_t at = hashed >> word_shift_;
  while (slots_[at].word >= 0) at = (at + 1) & (slots_.size() - 1);
  slots_[at] = {static_cast<uint32_t>(hashed), static_cast<int32_t>(words_.size())};
  words_.push_back({key, id, merges});
}

/// No merge crosses a place in a word where no token could lie over it, so the parts on its two
/// sides merge by themselves. Chinese and Japanese, whose words here are whole clauses, fall into
/// pieces of one to three characters that way. Notes for each border before a three-byte character
/// in a token the characters on both sides of it, or where the token holds only a part of them (or
/// the left one is of another length) the bytes.
void Bpe::add_borders(std::string_view token) {
  for (size_t i = 1; i < token.size(); ++i) {
    if (!is_lead(token[i])) continue;
    if (i >= 3 && i + 3 <= token.size() && is_lead(token[i - 3])) {
      set_bit(joined_characters_, filter_place(token.data() + i - 3));
    } else {
      set_bit(joined_bytes_, byte_place(token[i - 1], token[i]));
    }
  }
}

/// Whether a merge may cross the border between two three-byte characters.
inline bool Bpe::may_join(const char* border) const {
  return get_bit(joined_bytes_, byte_place(border[-1], border[0])) ||
         get_bit(joined_characters_, filter_place(border - 3));
}

void Bpe::encode(std::string_view word, Scratch& scratch, std::vector<int32_t>& out) const {
  if (word.size() <= kLongestKey) return encode_short(word, true, scratch, out);
  const uint32_t known = long_words_.find(word);
  if (known != StringIndex::kNone) {
    out.push_back(long_ids_[known]);
    return;
  }
  const char* start = word.data();
  const char* end = start + word.size();
  if (may_cut_) {
    for (const char* at = start + 3; at + 3 <= end;) {
      if (!is_lead(at[-3]) || !is_lead(at[0])) {
        ++at;
        continue;
      }
      if (!may_join(at)) {
        encode_part({start, static_cast<size_t>(at - start)}, scratch, out);
        start = at;
      }
      at += 3;
    }
  }
  encode_part({start, static_cast<size_t>(end - start)}, scratch, out);
}

void Bpe::encode_part(std::string_view part, Scratch& scratch, std::vector<int32_t>& out) const {
  if (part.size() <= kLongestKey) return encode_short(part, false, scratch, out);
  merge(part, scratch);
  out.insert(out.end(), scratch.ids_.begin(), scratch.ids_.end());
}

void Bpe::encode_short(std::string_view word, bool whole, Scratch& scratch,
                       std::vector<int32_t>& out) const {
  const Key key = key_of(word);
  const uint64_t hashed = hash(key);
  const Word* known = find_word(key, hashed);
  if (known != nullptr && (whole || known->merges)) {
    out.push_back(known->id);
    return;
  }
  if (word.empty()) return;
  if (scratch.owner_ != this) {
    std::fill(scratch.remembered_.begin(), scratch.remembered_.end(), Scratch::Word{});
    scratch.owner_ = this;
  }
  Scratch::Word& memory = scratch.remembered_[hashed % Scratch::kRemembered];
  if (memory.low != key.low || memory.high != key.high) {
    merge(word, scratch);
    if (scratch.ids_.size() > memory.ids.size()) {
      out.insert(out.end(), scratch.ids_.begin(), scratch.ids_.end());
      return;
    }
    memory.low = key.low;
    memory.high = key.high;
    memory.count = static_cast<uint32_t>(scratch.ids_.size());
    std::copy(scratch.ids_.begin(), scratch.ids_.end(), memory.ids.begin());
  }
  out.insert(out.end(), memory.ids.begin(), memory.ids.begin() + memory.count);
}

/// Leaves the ids of the word in scratch.ids_.
void Bpe::merge(std::string_view word, Scratch& scratch) const {
  std::vector<int32_t>& ids = scratch.ids_;
  ids.clear();
  bool last_unknown = false;
  for (const char byte : word) {
    const int32_t id = bytes_[static_cast<uint8_t>(byte)];
    const bool unknown = id < 0;
    if (!unknown) {
      ids.push_back(id);
    } else if (options_.unknown >= 0 && !(last_unknown && options_.fuse_unknown)) {
      ids.push_back(options_.unknown);
    }
    last_unknown = unknown;
  }
  if (ids.size() < 2) return;
  std::vector<uint32_t>& ranks = scratch.ranks_;
  ranks.resize(ids.size() - 1);
  for (size_t i = 0; i + 1 < ids.size(); ++i) ranks[i] = rank_of(ids[i], ids[i + 1]);
  constexpr size_t kFew = 96;  // beyond it the heap wins over looking at every pair
  ids.size() <= kFew ? merge_few(scratch) : merge_many(scratch);
}

void Bpe::merge_few(Scratch& scratch) const {
  int32_t* ids = scratch.ids_.data();
  uint32_t* ranks = scratch.ranks_.data();
  size_t n = scratch.ranks_.size();
  while (n > 0) {
    size_t best = 0;
    for (size_t i = 1; i < n; ++i) {
      if (ranks[i] < ranks[best]) best = i;
    }
    if (ranks[best] == kNoMerge) break;
    ids[best] = results_[ranks[best]];
    std::memmove(ids + best + 1, ids + best + 2, (n - best - 1) * sizeof(int32_t));
    std::memmove(ranks + best, ranks + best + 1, (n - best - 1) * sizeof(uint32_t));
    --n;
    if (best > 0) ranks[best - 1] = rank_of(ids[best - 1], ids[best]);
    if (best < n) ranks[best] = rank_of(ids[best], ids[best + 1]);
  }
  scratch.ids_.resize(n + 1);
}

/// The same with a heap of pairs, for words as long as a line of base64.
void Bpe::merge_many(Scratch& scratch) const {
  struct Candidate {
    uint32_t rank;
    uint32_t at;
    bool operator>(const Candidate& other) const {
      return rank != other.rank ? rank > other.rank : at > other.at;
    }
  };
  std::vector<int32_t>& ids = scratch.ids_;
  std::vector<uint32_t>& ranks = scratch.ranks_;  // of i and the living token after it
  const auto n = static_cast<uint32_t>(ids.size());
  std::vector<uint32_t> before(n), after(n);
  std::vector<Candidate> heap;
  heap.reserve(n);
  for (uint32_t i = 0; i < n; ++i) {
    before[i] = i - 1;  // wraps to a number that is never below n
    after[i] = i + 1;
    if (i + 1 < n && ranks[i] != kNoMerge) heap.push_back({ranks[i], i});
  }
  std::make_heap(heap.begin(), heap.end(), std::greater<>());
  const auto offer = [&](uint32_t at) {
    ranks[at] = after[at] < n ? rank_of(ids[at], ids[after[at]]) : kNoMerge;
    if (ranks[at] == kNoMerge) return;
    heap.push_back({ranks[at], at});
    std::push_heap(heap.begin(), heap.end(), std::greater<>());
  };
  ranks.push_back(kNoMerge);
  while (!heap.empty()) {
    std::pop_heap(heap.begin(), heap.end(), std::greater<>());
    const Candidate top = heap.back();
    heap.pop_back();
    if (ranks[top.at] != top.rank) continue;  // one of the two has been joined since
    const uint32_t right = after[top.at];
    ids[top.at] = results_[top.rank];
    ids[right] = -1;
    ranks[right] = kNoMerge;
    after[top.at] = after[right];
    if (after[right] < n) before[after[right]] = top.at;
    offer(top.at);
    if (before[top.at] < n) offer(before[top.at]);
  }
  std::erase(ids, -1);
}

}  // namespace lmms::text
