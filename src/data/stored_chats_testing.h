#pragma once
/// Reading what tests/parity/make_vision_chats.py and make_llava_chats.py stored.
#include <bit>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <vector>

#include "core/files.h"
#include "core/format.h"

namespace lmms::data {

inline nlohmann::json read_json(const std::string& path) {
  return nlohmann::json::parse(read_file(path).take());
}

/// Runs [value, times] as values.
inline std::vector<int32_t> unrolled(const nlohmann::json& runs) {
  std::vector<int32_t> out;
  for (const auto& run : runs) out.insert(out.end(), run[1].get<size_t>(), run[0].get<int32_t>());
  return out;
}

/// FNV-1a, a word of 32 bits at a time.
template <class T>
std::string fnv(std::span<const T> words) {
  uint64_t hash = 0xcbf29ce484222325;
  for (const T word : words) hash = (hash ^ std::bit_cast<uint32_t>(word)) * 0x100000001b3;
  return fmt::format("{:016x}", hash);
}

}  // namespace lmms::data
