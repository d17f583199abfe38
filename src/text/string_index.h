#pragma once
/// Many short strings in one block of memory, found by content or by number.
#include <bit>
#include <cstdint>
#include <cstring>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

namespace lmms::text {

/// 64 bits of a string that are well mixed in their high part.
inline uint64_t hash_bytes(std::string_view s) {
  constexpr uint64_t kMultiplier = 0x9E3779B97F4A7C15u;
  uint64_t h = s.size() * kMultiplier;
  const auto mix = [&h](uint64_t word) {
    const auto product = static_cast<unsigned __int128>(h ^ word) * 0xD6E8FEB86659FD93u;
    h = static_cast<uint64_t>(product) ^ static_cast<uint64_t>(product >> 64);
  };
  while (s.size() >= 8) {
    uint64_t word;
    std::memcpy(&word, s.data(), 8);
    mix(word);
    s.remove_prefix(8);
  }
  uint64_t rest = 0;
  std::memcpy(&rest, s.data(), s.size());
  mix(rest ^ kMultiplier);
  return h;
}

/// Numbers strings in the order in which they are added. Open addressing, at most half full.
class StringIndex {
 public:
  static constexpr uint32_t kNone = std::numeric_limits<uint32_t>::max();

  size_t size() const { return ends_.size(); }
  std::string_view operator[](uint32_t number) const {
    const uint32_t begin = number == 0 ? 0 : ends_[number - 1];
    return std::string_view(characters_).substr(begin, ends_[number] - begin);
  }
  /// The number of a string, or kNone.
  uint32_t find(std::string_view s) const {
    if (slots_.empty()) return kNone;
    for (size_t at = hash_bytes(s) >> shift_;; at = (at + 1) & (slots_.size() - 1)) {
      if (slots_[at] == kNone || (*this)[slots_[at]] == s) return slots_[at];
    }
  }
  /// The number of a string that is new, or of the equal one that was there.
  uint32_t add(std::string_view s) {
    if ((ends_.size() + 1) * 2 > slots_.size()) grow();
    size_t at = hash_bytes(s) >> shift_;
    for (; slots_[at] != kNone; at = (at + 1) & (slots_.size() - 1)) {
      if ((*this)[slots_[at]] == s) return slots_[at];
    }
    slots_[at] = static_cast<uint32_t>(ends_.size());
    characters_.append(s);
    ends_.push_back(static_cast<uint32_t>(characters_.size()));
    return slots_[at];
  }

 private:
  void grow() {
    const size_t size = slots_.empty() ? 64 : slots_.size() * 2;
    shift_ = 64 - std::countr_zero(size);
    slots_.assign(size, kNone);
    for (uint32_t i = 0; i < ends_.size(); ++i) {
      size_t at = hash_bytes((*this)[i]) >> shift_;
      while (slots_[at] != kNone) at = (at + 1) & (size - 1);
      slots_[at] = i;
    }
  }
  std::string characters_;
  std::vector<uint32_t> ends_;
  std::vector<uint32_t> slots_;
  int shift_ = 0;
};

}  // namespace lmms::text
