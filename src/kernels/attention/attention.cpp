#include "kernels/attention/attention.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/scaled_dot_product_attention.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>

#include "kernels/attention/attention_rule.h"
#include "kernels/dims.h"

namespace lmms::kernels {
namespace {

// [n, N, D] -> [1, N, n, D], KV heads repeated for their query heads.
at::Tensor heads_first(const at::Tensor& x, int64_t repeat) {
  at::Tensor y = x.transpose(0, 1).unsqueeze(0);
  return repeat == 1 ? y : y.repeat_interleave(repeat, 1);
}

// One segment with a sliding window: queries in blocks of `window`, each against the at most 2 *
// window - 1 keys that it can see. q, k, v [1, N, n, D].
at::Tensor windowed(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, double scale,
                    int64_t window) {
  const int64_t n = q.size(2);
  std::vector<at::Tensor> blocks;
  for (int64_t begin = 0; begin < n; begin += window) {
    const int64_t end = std::min(n, begin + window),
                  first = std::max<int64_t>(0, begin - window + 1);
    const at::Tensor i = at::arange(begin, end, q.options().dtype(at::kLong)).unsqueeze(1);
    const at::Tensor j = at::arange(first, end, q.options().dtype(at::kLong)).unsqueeze(0);
    const at::Tensor visible = (j <= i).logical_and_(j > i - window);  // [block, keys]
    blocks.push_back(at::scaled_dot_product_attention(
        q.narrow(2, begin, end - begin), k.narrow(2, first, end - first),
        v.narrow(2, first, end - first), visible, 0.0, false, scale));
  }
  return at::cat(blocks, 2);
}

at::Tensor by_segment(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                      const AttentionPlan& plan, double scale, int64_t window) {
  // split, not narrow: its backward concatenates once instead of adding a padded gradient per
  // segment
  const int64_t repeat = q.size(1) / k.size(1);
  const auto qs = q.split_with_sizes(plan.lengths), ks = k.split_with_sizes(plan.lengths),
             vs = v.split_with_sizes(plan.lengths);
  std::vector<at::Tensor> out;
  out.reserve(qs.size());
  for (size_t s = 0; s < qs.size(); ++s) {
    const at::Tensor qh = heads_first(qs[s], 1), kh = heads_first(ks[s], repeat),
                     vh = heads_first(vs[s], repeat);
    const at::Tensor o =
        window > 0 && plan.lengths[s] > window
            ? windowed(qh, kh, vh, scale, window)
            : at::scaled_dot_product_attention(qh, kh, vh, {}, 0.0, /*is_causal=*/true, scale);
    out.push_back(o.squeeze(0).transpose(0, 1));  // [n, N, D]
  }
  return at::cat(out, 0);
}

// [n * count, N, D] -> [count, N, n, D], KV heads repeated for their query heads.
at::Tensor segments_first(const at::Tensor& x, int64_t n, int64_t repeat) {
  const at::Tensor y = x.reshape({-1, n, x.size(1), x.size(2)}).transpose(1, 2);
  return repeat == 1 ? y : y.repeat_interleave(repeat, 1);
}

// Every query sees all of its segment. Neighbours of equal length are one call: windows are small
// and many.
at::Tensor bidirectional_by_run(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                                const AttentionPlan& plan, double scale) {
  std::vector<int64_t> tokens, length;  // of each run
  for (int64_t n : plan.lengths) {
    if (n == 0) continue;
    if (!length.empty() && length.back() == n) {
      tokens.back() += n;
    } else {
      length.push_back(n);
      tokens.push_back(n);
    }
  }
  const int64_t repeat = q.size(1) / k.size(1);
  const auto qs = q.split_with_sizes(tokens), ks = k.split_with_sizes(tokens),
             vs = v.split_with_sizes(tokens);
  std::vector<at::Tensor> out;
  out.reserve(qs.size());
  for (size_t r = 0; r < qs.size(); ++r) {
    const int64_t n = length[r];
    const at::Tensor o = at::scaled_dot_product_attention(
        segments_first(qs[r], n, 1), segments_first(ks[r], n, repeat),
        segments_first(vs[r], n, repeat), {}, 0.0, /*is_causal=*/false, scale);
    out.push_back(o.transpose(1, 2).reshape({tokens[r], q.size(1), q.size(2)}));
  }
  return at::cat(out, 0);
}

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

at::Tensor causal_attention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                            const AttentionPlan& plan, double scale, int64_t window) {
  const auto [T, Nq, D] = dims<3>(q, "q");
  const auto [Tk, Nkv, Dk] = dims<3>(k, "k");
  TORCH_INTERNAL_ASSERT(T == Tk && D == Dk && k.sizes() == v.sizes() && Nq % Nkv == 0,
                        "attention: q ", q.sizes(), ", k ", k.sizes(), ", v ", v.sizes());
  if (!attention_is_fused(q.device(), q.scalar_type(), D))
    return by_segment(q, k, v, plan, scale, window);
  return FusedAttention::apply(q, k, v, plan, AttentionShape{Mask::causal, window, scale});
}

at::Tensor segment_attention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                             const AttentionPlan& plan, double scale) {
  const auto [T, Nq, D] = dims<3>(q, "q");
  const auto [Tk, Nkv, Dk] = dims<3>(k, "k");
  TORCH_INTERNAL_ASSERT(T == Tk && D == Dk && k.sizes() == v.sizes() && Nq % Nkv == 0,
                        "attention: q ", q.sizes(), ", k ", k.sizes(), ", v ", v.sizes());
  if (!attention_is_fused(q.device(), q.scalar_type(), D))
    return bidirectional_by_run(q, k, v, plan, scale);
  return FusedAttention::apply(q, k, v, plan, AttentionShape{Mask::full, 0, scale});
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

std::string causal_attention_kernel(at::Device device, at::ScalarType dtype) {
  return attention_choice(attention_device(device), dtype).kernel;
}

}  // namespace lmms::kernels
