#pragma once
/// Flat memory as kernels over many buckets see it: ranges of numbers, and tables that say which
/// block of threads works on which piece of which range.
#include <cstdint>
#include <span>
#include <vector>

#ifdef __CUDACC__
#define LMMS_HOST_DEVICE __host__ __device__
#else
#define LMMS_HOST_DEVICE
#endif

namespace lmms::kernels {

/// The type of stored numbers.
enum class Stored : int32_t { f32, bf16 };

/// On a GPU one launch serves all ranges: a table on the device says which block of threads works
/// on which piece of which range.
struct Tile {
  int32_t range = 0;
  int32_t index = 0;  ///< its elements begin at index * (elements of a tile)
};

/// The tiles of ranges with these counts, in order.
inline std::vector<Tile> tiles_of(std::span<const int64_t> counts, int64_t tile) {
  std::vector<Tile> out;
  for (size_t r = 0; r < counts.size(); ++r) {
    for (int64_t i = 0; i * tile < counts[r]; ++i)
      out.push_back({static_cast<int32_t>(r), static_cast<int32_t>(i)});
  }
  return out;
}

}  // namespace lmms::kernels
