#include "nn/vision_block.h"

#include <cmath>

#include "kernels/qkv_attention/qkv_attention.h"

namespace lmms::nn {

at::Tensor VisionBlock::mlp(const kernels::Normed& x, const UnitRun& how) const {
  return down.after(activation, up(x, how), how);
}

VisionState VisionBlock::operator()(const VisionState& state) const {
  const UnitRun& how = state.how;
  const int64_t D = qkv.weight->shape[0] / 3 / heads;
  VisionState out = state;
  const kernels::Normed normed = out.settle_through(norm1, how);
  kernels::QkvAttention attention;
  // Queries and keys turn in fp32, whatever the activations are: transformers does so in its
  // towers.
  attention.treatment = {heads, heads, D, {}, {}, 0, state.cos, state.sin};
  attention.shape = {kernels::Mask::full, 0, 1.0 / std::sqrt(static_cast<double>(D))};
  attention.form = how.kernels.rope;
  out.delta = proj(kernels::qkv_attention(
      qkv(normed, how), full ? state.plans->frames : state.plans->windows, attention));
  mlp_half(
      out, norm2, [this](const kernels::Normed& x, const UnitRun& run) { return mlp(x, run); },
      how);
  return out;
}

bool VisionBlock::trains() const {
  return norm1.trains() || norm2.trains() || qkv.trains() || proj.trains() || up.trains() ||
         down.trains();
}

void ChainFlops::product(const Param& weight, double rows) {
  flops += 2 * rows * static_cast<double>(weight.elements()) *
           (1 + (flows ? 1 : 0) + (weight.trainable ? 1 : 0));
  flows = flows || weight.trainable;
}

void ChainFlops::attention(double width, double pairs) {
  flops += 4 * width * pairs * (flows ? 3 : 1);
}

void ChainFlops::block(const VisionBlock& block, double patches, double pairs) {
  product(*block.qkv.weight, patches);
  attention(static_cast<double>(block.qkv.weight->shape[0]) / 3, pairs);
  for (const Linear* l : {&block.proj, &block.up, &block.down}) product(*l->weight, patches);
}

}  // namespace lmms::nn
