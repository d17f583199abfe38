#include "nn/vision_block.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/gelu.h>
#include <ATen/ops/layer_norm.h>

#include <cmath>
#include <tuple>

#include "kernels/add_norm/add_norm.h"
#include "kernels/glu/glu.h"
#include "kernels/rms_norm/rms_norm.h"
#include "kernels/rope/rope.h"

namespace lmms::nn {
namespace {

// Queries and keys turn in fp32, whatever the activations are: transformers does so in its towers.
at::Tensor turned(const at::Tensor& x, const VisionState& state) {
  if (!state.cos.defined()) return x;
  return kernels::rope(x.to(at::kFloat), state.cos, state.sin).to(x.scalar_type());
}

}  // namespace

at::Tensor VisionNorm::operator()(const at::Tensor& x) const {
  if (bias == nullptr) return kernels::rms_norm(x, weight->value, eps);
  return at::layer_norm(x, {x.size(-1)}, weight->value, bias->value, eps);
}

VisionState VisionBlock::operator()(const VisionState& state) const {
  const int64_t P = state.hidden.size(0), D = qkv.weight->shape[0] / 3 / heads;
  const at::Tensor qkv_of = qkv(norm1(state.hidden)).view({P, 3, heads, D});
  const at::Tensor q = turned(qkv_of.select(1, 0), state), k = turned(qkv_of.select(1, 1), state);
  const at::Tensor seen = kernels::segment_attention(
      q, k, qkv_of.select(1, 2), full ? state.plans->frames : state.plans->windows,
      1.0 / std::sqrt(static_cast<double>(D)));  // [P, N, D]
  const at::Tensor added = proj(seen.reshape({P, heads * D}));
  at::Tensor normed, residual;
  if (norm2.bias == nullptr) {
    std::tie(normed, residual) =
        kernels::add_norm(added, state.hidden, norm2.weight->value, norm2.eps);
  } else {
    residual = state.hidden + added;
    normed = norm2(residual);
  }
  const at::Tensor inner = up(normed);
  VisionState out = state;
  out.hidden = residual + down(gated ? kernels::silu_glu(inner) : at::gelu(inner, "tanh"));
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
