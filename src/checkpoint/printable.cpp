#include "checkpoint/printable.h"

#include "core/format.h"

namespace lmms::checkpoint {

std::string printable(std::string_view name) {
  constexpr size_t kMost = 200;
  std::string text = "'";
  for (const unsigned char byte : name.substr(0, kMost)) {
    if (byte < 0x20 || byte == 0x7f)
      text += fmt::format("\\x{:02x}", byte);
    else
      text += static_cast<char>(byte);
  }
  return text + (name.size() > kMost ? "...'" : "'");
}

}  // namespace lmms::checkpoint
