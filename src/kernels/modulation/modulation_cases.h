#pragma once
#include <algorithm>
#include <cstdint>
#include <ostream>
#include <string>
#include <vector>

#include "kernels/modulation/token_rows.h"
#include "kernels/op_cases.h"

namespace lmms::kernels::testing {

struct ModulationCase {
  std::string name;
  std::vector<int64_t> lengths;  ///< tokens of each row
  int64_t pad, D;                ///< tokens behind them
  unsigned use;

  int64_t tokens() const {
    int64_t n = pad;
    for (const int64_t length : lengths) n += length;
    return n;
  }
  int64_t rows() const { return static_cast<int64_t>(lengths.size()); }
  TokenRows token_rows(at::Device device) const {
    const bool equal =
        std::all_of(lengths.begin(), lengths.end(), [&](int64_t n) { return n == lengths[0]; });
    return equal ? equal_rows(rows(), lengths[0]) : ragged_rows(lengths, device);
  }
};
inline void PrintTo(const ModulationCase& c, std::ostream* out) {
  *out << c.name << " of " << c.D;
}

inline std::vector<ModulationCase> modulation_cases(CaseUse use) {
  const auto same = [](size_t rows, int64_t length) { return std::vector<int64_t>(rows, length); };
  const std::vector<ModulationCase> all = {
      {"one_token", same(1, 1), 0, 8, kOnBoth},
      {"narrow", same(3, 5), 0, 4, kOnBoth},
      {"odd_width", same(2, 9), 3, 7, kOnBoth},
      {"pad", same(3, 16), 16, 64, kOnBoth},
      {"ragged", {5, 1, 33, 0, 64, 65}, 0, 24, kOnBoth},
      {"ragged_pad", {31, 32, 33, 2}, 7, 104, kOnBoth},
      {"a_row_a_token", same(37, 1), 3, 40, kOnBoth},
      {"small", same(2, 64), 0, 384, kOnBoth},
      {"xl", same(3, 70), 0, 1152, kOnGpu},
      {"xl_ragged", {100, 256, 17, 1}, 13, 1152, kOnGpu},
      {"wan", {40, 33}, 5, 3072, kOnGpu},
      {"wan_14b", same(2, 35), 1, 5120, kOnGpu},
      {"widest", same(2, 35), 1, 6144, kOnGpu},
      {"too_wide", same(2, 5), 1, 6152, kOnGpu},
      {"XL 64", same(64, 256), 0, 1152, kTimed},
      {"XL 256", same(256, 256), 0, 1152, kTimed},
      {"B 256", same(256, 256), 0, 768, kTimed},
      {"L 256", same(256, 256), 0, 1024, kTimed},
      {"XL odd", {1000, 77, 3000, 12289}, 0, 1152, kTimed},
      {"5B", same(2, 5070), 0, 3072, kTimed},
      {"14B", same(1, 20280), 0, 5120, kTimed},
      {"a row a token", same(10140, 1), 0, 3072, kTimed},
  };
  std::vector<ModulationCase> out;
  for (const ModulationCase& c : all)
    if ((c.use & use) != 0) out.push_back(c);
  return out;
}

}  // namespace lmms::kernels::testing
