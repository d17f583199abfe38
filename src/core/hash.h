#pragma once
/// A fast hash that tells changed bytes from unchanged ones: XXH3-64 (https://xxhash.com), several
/// GB/s. Not for secrets: whoever wants to can make bytes that collide.
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace lmms {

uint64_t hash64(std::span<const std::byte> bytes);
uint64_t hash64(std::string_view text);

/// The same hash of bytes that come in pieces, wherever they are cut.
class Hash64 {
 public:
  Hash64();
  Hash64(Hash64&&) noexcept;
  Hash64& operator=(Hash64&&) noexcept;
  ~Hash64();
  void add(std::span<const std::byte> bytes);
  void add(std::string_view text);
  /// Of all that was added so far; more may follow.
  uint64_t value() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// 16 hexadecimal digits, the form in which hashes stand in files.
std::string hash_text(uint64_t hash);

}  // namespace lmms
