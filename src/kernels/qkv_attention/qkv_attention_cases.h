#pragma once
#include <cstdint>
#include <ostream>
#include <vector>

#include "kernels/attention/attention_plan.h"

namespace lmms::kernels::testing {

struct QkvAttentionCase {
  std::vector<int64_t> lengths;
  int64_t heads, kv_heads, head_dim;
  bool norm, rotates;
  AttentionMode mode;
};
inline void PrintTo(const QkvAttentionCase& c, std::ostream* out) {
  *out << c.lengths.size() << " segments, " << c.heads << "/" << c.kv_heads << " heads of "
       << c.head_dim << (c.norm ? ", norm" : "") << (c.rotates ? ", rotated" : "");
}

inline std::vector<QkvAttentionCase> qkv_attention_cases() {
  constexpr AttentionMode kCausal = AttentionMode::causal, kFull = AttentionMode::full;
  return {{{3}, 1, 1, 64, true, true, kCausal},
          {{5, 130, 1, 64}, 4, 2, 128, true, true, kCausal},
          {{77, 3}, 4, 4, 80, false, true, kFull},
          {{33, 64}, 2, 2, 72, false, false, kFull},
          {{200}, 6, 2, 64, false, true, kCausal}};
}

}  // namespace lmms::kernels::testing
