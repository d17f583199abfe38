#include "text/byte_level.h"

#include <array>
#include <cstdint>

#include "text/unicode/utf8.h"

namespace lmms::text {
namespace {

constexpr int kStandIns = 0x144;

struct Alphabet {
  std::array<char32_t, 256> character{};
  std::array<int16_t, kStandIns> byte{};
  constexpr Alphabet() {
    byte.fill(-1);
    char32_t spare = 0x100;
    for (int b = 0; b < 256; ++b) {
      const bool printable = (b >= '!' && b <= '~') || (b >= 0xA1 && b <= 0xAC) || b >= 0xAE;
      character[static_cast<size_t>(b)] = printable ? static_cast<char32_t>(b) : spare++;
      byte[character[static_cast<size_t>(b)]] = static_cast<int16_t>(b);
    }
  }
};
constexpr Alphabet kAlphabet;

}  // namespace

std::optional<std::string> bytes_of_written(std::string_view written) {
  std::string bytes;
  bytes.reserve(written.size());
  const char* at = written.data();
  const char* end = at + written.size();
  while (at < end) {
    const char32_t c = unicode::next(at);
    if (c >= kStandIns || kAlphabet.byte[c] < 0) return std::nullopt;
    bytes.push_back(static_cast<char>(kAlphabet.byte[c]));
  }
  return bytes;
}

std::string written_of_bytes(std::string_view bytes) {
  std::string written;
  written.reserve(bytes.size() + bytes.size() / 4);
  for (const char b : bytes) unicode::append(written, kAlphabet.character[static_cast<uint8_t>(b)]);
  return written;
}

}  // namespace lmms::text
