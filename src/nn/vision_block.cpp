#include "nn/vision_block.h"

#include <cmath>

#include "kernels/qkv_attention/qkv_attention.h"

namespace lmms::nn {

VisionState VisionBlock::operator()(const VisionState& state) const {
  const UnitRun& how = state.how;
  const int64_t D = qkv.weight->shape[0] / 3 / heads;
  VisionState out = state;
  const kernels::Normed normed = out.settle_through(norm1, how);
  kernels::QkvAttention attention;
  // Queries and keys turn in fp32, whatever the activations are: transformers does so in its
  // towers.
  attention.norm_rope = {heads, heads, D, {}, {}, 0, state.cos, state.sin};
  attention.shape = {0, 1.0 / std::sqrt(static_cast<double>(D))};
  attention.form = how.kernels.rope;
  out.delta = proj(kernels::qkv_attention(
      qkv(normed, how), full ? state.plans->frames : state.plans->windows, attention));
  mlp_half(out, norm2, mlp, how);
  return out;
}

bool VisionBlock::trains() const {
  return norm1.trains() || norm2.trains() || qkv.trains() || proj.trains() || mlp.trains();
}

void VisionBlock::count(ChainFlops& chain, double patches, double pairs) const {
  chain.product(*qkv.weight, patches);
  chain.attention(static_cast<double>(qkv.weight->shape[0]) / 3, pairs);
  chain.product(*proj.weight, patches);
  mlp.count(chain, patches);
}

}  // namespace lmms::nn
