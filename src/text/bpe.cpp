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

uint64_t pair_key(int32_t left, int32_t right) {
  return static_cast<uint64_t>(static_cast<uint32_t>(left)) << 32 | static_cast<uint32_t>(right);
}

/// The smallest power of two that leaves half of the slots free.
size_t table_size(size_t entries) {
  return std::bit_ceil(std::max<size_t>(entries * 2, 16));
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
  pairs_.resize(table_size(merges.size()));
  pair_shift_ = shift_of(pairs_.size());
  for (size_t rank = 0; rank < merges.size(); ++rank) {
    const uint64_t key = pair_key(merges[rank].left, merges[rank].right);
    size_t at = key * 0x9E3779B97F4A7C15u >> pair_shift_;
    while (pairs_[at].key != kNoPair && pairs_[at].key != key) at = (at + 1) & (pairs_.size() - 1);
    pairs_[at] = {key, rank << 32 | static_cast<uint32_t>(merges[rank].result)};
  }
  // A word that is a token may skip the merging exactly if merging ends in that token.
  short_words_.resize(table_size(tokens.size()));
  word_shift_ = shift_of(short_words_.size());
  Scratch scratch;
  for (const Token& token : tokens) {
    if (token.bytes.empty()) continue;
    if (!options_.ignore_merges) {
      merge(token.bytes, scratch);
      if (scratch.ids_.size() != 1 || scratch.ids_[0] != token.id) continue;
    }
    add_word(token.bytes, token.id);
  }
}

Bpe::Key Bpe::key_of(std::string_view word) {
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

uint64_t Bpe::hash(Key key) {
  const auto product = static_cast<unsigned __int128>(key.low ^ 0xD6E8FEB86659FD93u) *
                       (key.high ^ 0x9E3779B97F4A7C15u);
  return (static_cast<uint64_t>(product) ^ static_cast<uint64_t>(product >> 64)) *
         0x9E3779B97F4A7C15u;
}

uint64_t Bpe::merge_of(int32_t left, int32_t right) const {
  const uint64_t key = pair_key(left, right);
  for (size_t at = key * 0x9E3779B97F4A7C15u >> pair_shift_;; at = (at + 1) & (pairs_.size() - 1)) {
    if (pairs_[at].key == key) return pairs_[at].merge;
    if (pairs_[at].key == kNoPair) return kNoMerge;
  }
}

int32_t Bpe::find_short(Key key) const {
  for (size_t at = hash(key) >> word_shift_;; at = (at + 1) & (short_words_.size() - 1)) {
    if (short_words_[at].key == key || short_words_[at].id < 0) return short_words_[at].id;
  }
}

void Bpe::add_word(std::string_view word, int32_t id) {
  if (word.size() > kShortest) {
    if (long_words_.add(word) == long_ids_.size()) long_ids_.push_back(id);
    return;
  }
  const Key key = key_of(word);
  size_t at = hash(key) >> word_shift_;
  while (short_words_[at].id >= 0) at = (at + 1) & (short_words_.size() - 1);
  short_words_[at] = {key, id};
}

void Bpe::encode(std::string_view word, Scratch& scratch, std::vector<int32_t>& out) const {
  if (word.size() > kShortest) {
    const uint32_t known = long_words_.find(word);
    if (known != StringIndex::kNone) {
      out.push_back(long_ids_[known]);
      return;
    }
    merge(word, scratch);
    out.insert(out.end(), scratch.ids_.begin(), scratch.ids_.end());
    return;
  }
  const Key key = key_of(word);
  const int32_t id = find_short(key);
  if (id >= 0) {
    out.push_back(id);
    return;
  }
  if (word.empty()) return;
  if (scratch.owner_ != this) {
    std::fill(scratch.remembered_.begin(), scratch.remembered_.end(), Scratch::Word{});
    scratch.owner_ = this;
  }
  Scratch::Word& memory = scratch.remembered_[hash(key) % Scratch::kRemembered];
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
  std::vector<uint64_t>& pairs = scratch.pairs_;
  pairs.resize(ids.size() - 1);
  for (size_t i = 0; i + 1 < ids.size(); ++i) pairs[i] = merge_of(ids[i], ids[i + 1]);
  constexpr size_t kFew = 96;  // beyond it the heap wins over looking at every pair
  ids.size() <= kFew ? merge_few(scratch) : merge_many(scratch);
}

void Bpe::merge_few(Scratch& scratch) const {
  int32_t* ids = scratch.ids_.data();
  uint64_t* pairs = scratch.pairs_.data();
  size_t n = scratch.pairs_.size();
  while (n > 0) {
    size_t best = 0;
    for (size_t i = 1; i < n; ++i) {
      if (pairs[i] < pairs[best]) best = i;
    }
    if (pairs[best] == kNoMerge) break;
    ids[best] = static_cast<int32_t>(pairs[best]);
    std::memmove(ids + best + 1, ids + best + 2, (n - best - 1) * sizeof(int32_t));
    std::memmove(pairs + best, pairs + best + 1, (n - best - 1) * sizeof(uint64_t));
    --n;
    if (best > 0) pairs[best - 1] = merge_of(ids[best - 1], ids[best]);
    if (best < n) pairs[best] = merge_of(ids[best], ids[best + 1]);
  }
  scratch.ids_.resize(n + 1);
}

/// The same with a heap of pairs, for words as long as a line of base64.
void Bpe::merge_many(Scratch& scratch) const {
  struct Candidate {
    uint64_t merge;
    uint32_t at;
    bool operator>(const Candidate& other) const {
      return merge != other.merge ? merge > other.merge : at > other.at;
    }
  };
  std::vector<int32_t>& ids = scratch.ids_;
  std::vector<uint64_t>& pairs = scratch.pairs_;  // of i and the living token after it
  const auto n = static_cast<uint32_t>(ids.size());
  std::vector<uint32_t> before(n), after(n);
  std::vector<Candidate> heap;
  heap.reserve(n);
  for (uint32_t i = 0; i < n; ++i) {
    before[i] = i - 1;  // wraps to a number that is never below n
    after[i] = i + 1;
    if (i + 1 < n && pairs[i] != kNoMerge) heap.push_back({pairs[i], i});
  }
  std::make_heap(heap.begin(), heap.end(), std::greater<>());
  const auto offer = [&](uint32_t at) {
    pairs[at] = after[at] < n ? merge_of(ids[at], ids[after[at]]) : kNoMerge;
    if (pairs[at] == kNoMerge) return;
    heap.push_back({pairs[at], at});
    std::push_heap(heap.begin(), heap.end(), std::greater<>());
  };
  pairs.push_back(kNoMerge);
  while (!heap.empty()) {
    std::pop_heap(heap.begin(), heap.end(), std::greater<>());
    const Candidate top = heap.back();
    heap.pop_back();
    if (pairs[top.at] != top.merge) continue;  // one of the two has been joined since
    const uint32_t right = after[top.at];
    ids[top.at] = static_cast<int32_t>(top.merge);
    ids[right] = -1;
    pairs[right] = kNoMerge;
    after[top.at] = after[right];
    if (after[right] < n) before[after[right]] = top.at;
    offer(top.at);
    if (before[top.at] < n) offer(before[top.at]);
  }
  std::erase(ids, -1);
}

}  // namespace lmms::text
