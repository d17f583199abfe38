#pragma once
/// How the tokens of a segment see each other, and who sees them: kernels/attention/
/// attention_plan.h has the rule.
#include <cstdint>

namespace lmms {

enum class AttentionMode : uint8_t {
  causal,  ///< every token sees those before it and itself
  full,    ///< every token sees the whole segment
  noise,   ///< full, and no other segment ever sees it (a noised image beside its clean one)
};

}  // namespace lmms
