#pragma once
/// Byte-pair encoding of one word (Sennrich et al. 2016, over bytes as in GPT-2): of all
/// neighbouring pairs the one with the lowest rank is joined, the leftmost first, until no pair has
/// a rank.
#include <array>
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

#include "text/string_index.h"

namespace lmms::text {

/// Joins two tokens into one. Its rank is its place in the list.
struct Merge {
  int32_t left, right, result;
};

/// How a word that no merge covers ends up.
struct BpeOptions {
  bool ignore_merges = false;  ///< a word that is a token is that token, whatever the merges say
  int32_t unknown = -1;  ///< id in the place of a byte that is no token; -1: such a byte vanishes
  bool fuse_unknown = false;  ///< neighbouring unknown bytes give one id
};

class Bpe {
 public:
  /// Buffers of one thread, and its memory of words that take merging: `kRemembered` of them at
  /// most.
  class Scratch {
   public:
    Scratch() : remembered_(kRemembered) {}

   private:
    friend class Bpe;
    static constexpr size_t kRemembered = 8192;
    struct Word {
      uint64_t low = 0, high = 0;
      uint32_t count = 0;
      std::array<int32_t, 11> ids{};
    };
    std::vector<Word> remembered_;
    const Bpe* owner_ = nullptr;
    std::vector<int32_t> ids_;
    std::vector<uint64_t> pairs_;
  };

  struct Token {
    std::string bytes;
    int32_t id;
  };
  /// `tokens` are those that words can become, with distinct bytes and ids >= 0; of merges of the
  /// same pair the last counts.
  Bpe(const std::vector<Token>& tokens, const std::vector<Merge>& merges, BpeOptions options);
  Bpe(Bpe&&) noexcept = default;
  Bpe& operator=(Bpe&&) noexcept = default;

  /// Appends the ids of a word. Time O(n log n) in its length; almost all words of real text are
  /// one look-up.
  void encode(std::string_view word, Scratch& scratch, std::vector<int32_t>& out) const;

 private:
  /// A word of at most 15 bytes, zero-padded, its length in the last byte.
  struct Key {
    uint64_t low, high;
    bool operator==(const Key&) const = default;
  };
  struct ShortWord {
    Key key{0, 0};
    int32_t id = -1;
  };
  struct Pair {
    uint64_t key = kNoPair;
    uint64_t merge = kNoMerge;
  };
  static constexpr uint64_t kNoPair = std::numeric_limits<uint64_t>::max();
  /// A merge as one number: rank above result, so that the smallest is the next to do.
  static constexpr uint64_t kNoMerge = std::numeric_limits<uint64_t>::max();
  static constexpr size_t kShortest = 15;

  static Key key_of(std::string_view word);
  static uint64_t hash(Key key);
  uint64_t merge_of(int32_t left, int32_t right) const;
  int32_t find_short(Key key) const;
  void add_word(std::string_view word, int32_t id);
  void merge(std::string_view word, Scratch& scratch) const;
  void merge_few(Scratch& scratch) const;
  void merge_many(Scratch& scratch) const;

  BpeOptions options_;
  std::array<int32_t, 256> bytes_{};
  std::vector<Pair> pairs_;
  int pair_shift_ = 0;
  std::vector<ShortWord> short_words_;
  int word_shift_ = 0;
  StringIndex long_words_;
  std::vector<int32_t> long_ids_;
};

}  // namespace lmms::text
