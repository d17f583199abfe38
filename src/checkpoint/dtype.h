#pragma once
/// Element types of safetensors files.
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace lmms::checkpoint {

/// In the ascending order of the safetensors crate, which files are sorted by (descending): wider
/// types come first in a file and thereby lie aligned. The sub-byte types of that crate (F4, F6)
/// are not read.
enum class DType : uint8_t {
  boolean,
  u8,
  i8,
  f8_e5m2,
  f8_e4m3,
  f8_e8m0,
  f8_e4m3fnuz,
  f8_e5m2fnuz,
  i16,
  u16,
  f16,
  bf16,
  i32,
  u32,
  f32,
  c64,
  f64,
  i64,
  u64,
};

inline constexpr int kDTypes = static_cast<int>(DType::u64) + 1;

/// Bytes of one element.
size_t size_of(DType dtype);
/// The name in a safetensors header: "BF16", "F32", "BOOL", ...
std::string_view name_of(DType dtype);
/// The type of that name, if it is one that is read here.
std::optional<DType> dtype_named(std::string_view name);

}  // namespace lmms::checkpoint
