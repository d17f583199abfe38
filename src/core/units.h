#pragma once
/// Numbers as people read them.
#include <cstdint>
#include <string>

namespace lmms {

/// 1234567 as "1,234,567".
std::string grouped(int64_t n);

/// Bytes as "512 B", "1.5 MiB", "800 MiB", "2.2 GiB".
std::string size_text(int64_t bytes);

}  // namespace lmms
