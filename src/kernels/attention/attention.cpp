#include "kernels/attention/attention.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/scaled_dot_product_attention.h>
#include <torch/csrc/autograd/custom_function.h>

#include "kernels/attention/attention_by_segment.h"
#include "kernels/attention/attention_rule.h"
#include "kernels/dims.h"

namespace lmms::kernels {
namespace {

// What the fused core reads; a copy where x is laid out otherwise (a gradient that was expanded).
at::Tensor packed(const at::Tensor& x) {
  const bool as_is = x.stride(2) == 1 && x.stride(1) == x.size(2) && x.stride(0) % 8 == 0 &&
                     x.stride(0) >= x.size(1) * x.size(2) && x.storage_offset() % 8 == 0;
  return as_is ? x : x.contiguous();
}

// What backward needs beside tensors.
struct Kept : torch::CustomClassHolder {
  Kept(const AttentionPlan& plan, const AttentionShape& shape) : plan(plan), shape(shape) {}
  AttentionPlan plan;
  AttentionShape shape;
};

struct FusedAttention : torch::autograd::Function<FusedAttention> {
  static at::Tensor forward(torch::autograd::AutogradContext* ctx, const at::Tensor& q,
                            const at::Tensor& k, const at::Tensor& v, const AttentionPlan& plan,
                            const AttentionShape& shape) {
    // as their gradients will lie
    const at::Tensor qp = q.contiguous(), kp = k.contiguous(), vp = v.contiguous();
    const AttentionOutput output = attention_forward(qp, kp, vp, plan, shape);
    ctx->save_for_backward({qp, kp, vp, output.out, output.lse});
    ctx->saved_data["plan"] = c10::IValue::make_capsule(c10::make_intrusive<Kept>(plan, shape));
    return output.out;
  }
  static torch::autograd::tensor_list backward(torch::autograd::AutogradContext* ctx,
                                               const torch::autograd::tensor_list& grads) {
    const auto saved = ctx->get_saved_variables();
    const auto kept = c10::static_intrusive_pointer_cast<Kept>(ctx->saved_data["plan"].toCapsule());
    const AttentionPlan& plan = kept->plan;
    at::Tensor dq = at::empty(saved[0].sizes(), saved[0].options()),
               dk = at::empty(saved[1].sizes(), saved[1].options()),
               dv = at::empty(saved[2].sizes(), saved[2].options());
    attention_backward(packed(grads[0]), saved[0], saved[1], saved[2], {saved[3], saved[4]}, plan,
                       kept->shape, dq, dk, dv);
    return {dq, dk, dv, {}, {}};
  }
};

}  // namespace

at::Tensor attention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                     const AttentionPlan& plan, const AttentionShape& shape) {
  const auto [T, Nq, D] = dims<3>(q, "q");
  const auto [K, Nkv, Dk] = dims<3>(k, "k");
  TORCH_INTERNAL_ASSERT(D == Dk && k.sizes() == v.sizes() && Nq % Nkv == 0, "attention: q ",
                        q.sizes(), ", k ", k.sizes(), ", v ", v.sizes());
  if (attention_is_fused(plan, q.device(), q.scalar_type(), D))
    return FusedAttention::apply(q, k, v, plan, shape);
  return attention_by_segment(q, k, v, plan, shape);
}

at::Tensor cached_attention(const at::Tensor& q, const at::Tensor& keys, const at::Tensor& values,
                            const at::Tensor& visible, double scale) {
  const auto [B, n, Nq, D] = dims<4>(q, "q");
  const auto [Bk, C, Nkv, Dk] = dims<4>(keys, "keys");
  TORCH_INTERNAL_ASSERT(B == Bk && D == Dk && keys.sizes() == values.sizes() && Nq % Nkv == 0 &&
                            visible.sizes() == at::IntArrayRef({B, n, C}),
                        "attention: q ", q.sizes(), ", keys ", keys.sizes(), ", visible ",
                        visible.sizes());
  // The queries that share a KV head are rows of one problem, so that no key is repeated.
  const int64_t group = Nq / Nkv;
  const at::Tensor rows = q.view({B, n, Nkv, group, D}).permute({0, 2, 3, 1, 4});
  // of one new token it is the same for all rows; of more it is repeated
  const at::Tensor mask =
      n == 1 ? visible.unsqueeze(1)
             : visible.unsqueeze(1).expand({B, group, n, C}).reshape({B, 1, group * n, C});
  const at::Tensor out = at::scaled_dot_product_attention(
      rows.reshape({B, Nkv, group * n, D}), keys.transpose(1, 2), values.transpose(1, 2), mask, 0.0,
      /*is_causal=*/false, scale);  // [B, Nkv, group * n, D]
  return out.view({B, Nkv, group, n, D}).permute({0, 3, 1, 2, 4}).reshape({B, n, Nq, D});
}

std::string attention_kernel(at::Device device, at::ScalarType dtype) {
  return attention_choice(attention_device(device), dtype).kernel;
}

}  // namespace lmms::kernels
