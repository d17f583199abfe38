#pragma once
/// What the CUDA kernels of attention have in common, in plain types.
#include <cstdint>

namespace lmms::kernels {

/// A bf16 tensor [tokens, heads, head_dim], heads head_dim apart, `row` elements between tokens, a
/// multiple of 8; 16-byte aligned.
template <class Address>
struct AttentionOperand {
  Address* data;
  int64_t row;
};

}  // namespace lmms::kernels
