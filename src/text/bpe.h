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
    std::vector<uint32_t> ranks_;  ///< of joining ids_[i] and ids_[i + 1]
  };

  static constexpr uint32_t kMaxMerges = (1u << 20) - 1;
  static constexpr int32_t kMaxId = (1 << 22) - 1;

  struct Token {
    std::string bytes;
    int32_t id;
  };
  /// `tokens` are those that words can become, with distinct bytes and ids of 0 to kMaxId; of
  /// merges of the same pair the last counts. At most kMaxMerges merges.
  Bpe(const std::vector<Token>& tokens, const std::vector<Merge>& merges, BpeOptions options);
  Bpe(Bpe&&) noexcept = default;
  Bpe& operator=(Bpe&&) noexcept = default;

  /// Appends the ids of a word. Time O(n log n) in its length; almost all words of real text are
  /// one look-up.
  void encode(std::string_view word, Scratch& scratch, std::vector<int32_t>& out) const;

 private:
  /// A word of at most 15 bytes, zero-padded, its length in the last byte.
  struct Key {
    uint64_t low = 0, high = 0;
    bool operator==(const Key&) const = default;
  };
  /// A place in the table of short words: 8 bytes, so that the table of a full vocabulary (2 MB)
  /// stays near the core; the word itself is looked at only where the tag agrees.
  struct WordSlot {
    uint32_t tag = 0;
    int32_t word = -1;  ///< index in words_
  };
  struct Word {
    Key key;
    int32_t id;
    bool merges;  ///< merging its bytes ends in it; else it is a token only as a whole word
                  ///< (ignore_merges)
  };
  static constexpr size_t kLongestKey = 15;
  static constexpr uint32_t kNoMerge = std::numeric_limits<uint32_t>::max();

  static Key key_of(std::string_view word);
  static uint64_t hash(Key key);
  /// The rank of joining two tokens, or kNoMerge.
  uint32_t rank_of(int32_t left, int32_t right) const;
  const Word* find_word(Key key, uint64_t hashed) const;
  void add_merges(const std::vector<Merge>& merges);
  void add_word(std::string_view word, int32_t id, bool merges);
  void add_borders(std::string_view token);
  bool may_join(const char* border) const;
  void encode_part(std::string_view part, Scratch& scratch, std::vector<int32_t>& out) const;
  void encode_short(std::string_view word, bool whole, Scratch& scratch,
                    std::vector<int32_t>& out) const;
  void merge(std::string_view word, Scratch& scratch) const;
  void merge_few(Scratch& scratch) const;
  void merge_many(Scratch& scratch) const;

  BpeOptions options_;
  std::array<int32_t, 256> bytes_{};
  /// Open addressing: left (22 bits), right (22), rank (20) in one number.
  std::vector<uint64_t> pairs_;
  int pair_shift_ = 0;
  std::vector<int32_t> results_;  ///< by rank
  std::vector<WordSlot> slots_;
  int word_shift_ = 0;
  std::vector<Word> words_;
  StringIndex long_words_;
  std::vector<int32_t> long_ids_;
  // Where a word may be cut before merging (see add_borders): a filter of neighbouring three-byte
  // characters that some token holds side by side, and the bytes on both sides of borders at which
  // a token holds less than two whole such characters.
  std::vector<uint64_t> joined_characters_;
  std::vector<uint64_t> joined_bytes_;
  bool may_cut_ = false;
};

}  // namespace lmms::text
