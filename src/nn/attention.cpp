#include "nn/attention.h"

#include <algorithm>
#include <cmath>

#include "kernels/qkv_attention/qkv_attention.h"
#include "nn/cache.h"

namespace lmms::nn {

at::Tensor Attention::operator()(const kernels::Normed& x, const DecoderState& state) const {
  const at::Tensor projected = qkv(x, state.how);  // [T, (Nq + 2 Nkv) D]
  kernels::QkvAttention how;
  how.norm_rope = {heads, kv_heads, head_dim, {}, {}, eps, state.cos, state.sin};
  if (q_norm != nullptr) {
    how.norm_rope.q_norm = q_norm->handle();
    how.norm_rope.k_norm = k_norm->handle();
  }
  how.shape = {window, 1.0 / std::sqrt(static_cast<double>(head_dim))};
  how.keep_rotated = state.how.keep == Keep::everything;
  how.form = state.how.kernels.rope;
  if (state.cache == nullptr)
    return output(kernels::qkv_attention(projected, *state.attention, how));
  const kernels::QkvHeads h = kernels::attention_heads(projected, how);
  const at::Tensor seen =
      state.cache->attend(slot, h.q, h.k, h.v, *state.attention, how.shape);  // [T, Nq, D]
  return output(seen.reshape({projected.size(0), heads * head_dim}));
}

bool Attention::trains() const {
  return qkv.trains() || output.trains() ||
         (q_norm != nullptr && (q_norm->trainable || k_norm->trainable));
}

void Attention::count(ChainFlops& chain, std::span<const int64_t> lengths,
                      double extra_pairs) const {
  double tokens = 0, pairs = extra_pairs;  // of a query and a key that it sees
  for (const int64_t length : lengths) {
    const auto n = static_cast<double>(length);
    const double w = window > 0 ? std::min(n, static_cast<double>(window)) : n;
    tokens += n;
    pairs += w * (w + 1) / 2 + (n - w) * w;  // the first w queries see 1..w keys, the others w each
  }
  chain.product(*qkv.weight, tokens);
  chain.attention(static_cast<double>(heads * head_dim), pairs);
  chain.product(*output.weight, tokens);
}

}  // namespace lmms::nn
