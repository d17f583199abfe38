// split, not narrow, takes the segments out of rows: its backward concatenates once instead of
// adding a padded gradient for each.
#include "kernels/attention/attention_by_segment.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/full.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/scaled_dot_product_attention.h>
#include <ATen/ops/softmax.h>
#include <ATen/ops/zeros.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>
#include <limits>
#include <optional>

#include "kernels/attention/attention_rule.h"
#include "kernels/meta_device.h"
#include "kernels/work.h"

namespace lmms::kernels {
namespace {

// Queries at once where a mask is made: it has this many rows at most.
constexpr int64_t kMaskRows = 1024;

// [n, N, D] -> [1, N, n, D], KV heads repeated for their query heads.
at::Tensor heads_first(const at::Tensor& x, int64_t repeat) {
  at::Tensor y = x.transpose(0, 1).unsqueeze(0);
  return repeat == 1 ? y : y.repeat_interleave(repeat, 1);
}

// Added to the scores of so many queries and keys: query i sees the keys up to i + last, or the
// last `window` of those.
at::Tensor causal_mask(const at::TensorOptions& options, int64_t queries, int64_t keys,
                       int64_t last, int64_t window) {
  const at::Tensor hidden =
      at::full({queries, keys}, -std::numeric_limits<double>::infinity(), options);
  const at::Tensor mask = hidden.triu(last + 1);
  return window > 0 ? mask + hidden.tril(last - window) : mask;
}

// What ATen's kernel on a CPU takes, where meta tensors stand for those of one: no scores are kept,
// but a number a query. q [B, N, n, D]; k, v [B, N, M, D].
struct CpuStandIn : torch::autograd::Function<CpuStandIn> {
  static void record(const at::Tensor& q, bool causal, bool backward) {
    if (work_listener == nullptr) return;
    const std::vector<int64_t> lengths(static_cast<size_t>(q.size(0)), q.size(2));
    AttentionWork work{.backend = AttentionBackend::by_segment, .lengths = lengths};
    work.backward = backward;
    work.causal = causal;
    work.heads = work.kv_heads = q.size(1);
    work.head_dim = q.size(3);
    work_listener->attention(work);
  }
  static at::Tensor forward(torch::autograd::AutogradContext* ctx, const at::Tensor& q,
                            const at::Tensor& k, const at::Tensor& v, bool causal) {
    const at::Tensor out = at::empty_like(q);
    const at::Tensor lse =
        at::empty({q.size(0), q.size(1), q.size(2)}, q.options().dtype(at::kFloat));
    record(q, causal, /*backward=*/false);
    ctx->save_for_backward({q, k, v, out, lse});
    ctx->saved_data["causal"] = causal;
    return out;
  }
  static torch::autograd::tensor_list backward(torch::autograd::AutogradContext* ctx,
                                               const torch::autograd::tensor_list&) {
    const auto saved = ctx->get_saved_variables();
    record(saved[0], ctx->saved_data["causal"].toBool(), /*backward=*/true);
    return {at::empty_like(saved[0]), at::empty_like(saved[1]), at::empty_like(saved[2]), {}};
  }
};

// q [B, N, n, D]; k, v [B, N, M, D].
at::Tensor attend(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                  const std::optional<at::Tensor>& mask, bool causal, double scale) {
  if (q.is_meta() && computes_as_cpu(q.device()))
    return CpuStandIn::apply(q, k, v, causal || mask.has_value());
  // on the meta device ATen's own fails with a mask; this is what it would do
  if (q.is_meta() && !causal)
    return at::matmul(at::softmax(at::matmul(q, k.transpose(2, 3)), -1), v);
  return at::scaled_dot_product_attention(q, k, v, mask, 0.0, causal, scale);
}

// n queries behind M - n older keys, causal from the end on: query i sees the keys up to i + M - n,
// or the last `window` of those. In blocks of queries, each against the keys that it can see. q [1,
// N, n, D]; k, v [1, N, M, D], M >= n.
at::Tensor causal_by_block(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                           const AttentionShape& shape, int64_t block) {
  const int64_t n = q.size(2), older = k.size(2) - n, window = shape.window;
  std::vector<at::Tensor> blocks;
  for (int64_t begin = 0; begin < n; begin += block) {
    const int64_t end = std::min(n, begin + block);
    const int64_t first = window > 0 ? std::max<int64_t>(0, older + begin - window + 1) : 0;
    const int64_t keys = older + end - first;
    const at::Tensor mask =
        causal_mask(q.options(), end - begin, keys, older + begin - first, window);
    blocks.push_back(attend(q.narrow(2, begin, end - begin), k.narrow(2, first, keys),
                            v.narrow(2, first, keys), mask, /*causal=*/false, shape.scale));
  }
  return at::cat(blocks, 2);
}

// Causal over as many keys as queries. q, k, v [1, N, n, D].
at::Tensor causal(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                  const AttentionShape& shape) {
  if (shape.window > 0 && q.size(2) > shape.window)
    return causal_by_block(q, k, v, shape, shape.window);
  return attend(q, k, v, {}, /*causal=*/true, shape.scale);
}

at::Tensor causal_segments(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                           const AttentionPlan& plan, const AttentionShape& shape) {
  const int64_t repeat = q.size(1) / k.size(1);
  const auto qs = q.split_with_sizes(plan.lengths), ks = k.split_with_sizes(plan.lengths),
             vs = v.split_with_sizes(plan.lengths);
  std::vector<at::Tensor> out;
  out.reserve(qs.size());
  for (size_t s = 0; s < qs.size(); ++s) {
    const at::Tensor o = causal(heads_first(qs[s], 1), heads_first(ks[s], repeat),
                                heads_first(vs[s], repeat), shape);
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
at::Tensor full_segments(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
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
    const at::Tensor o = attend(segments_first(qs[r], n, 1), segments_first(ks[r], n, repeat),
                                segments_first(vs[r], n, repeat), {}, /*causal=*/false, scale);
    out.push_back(o.transpose(1, 2).reshape({tokens[r], q.size(1), q.size(2)}));
  }
  return at::cat(out, 0);
}

// The queries of one segment over all the keys that it sees: those of the segments before it, then
// its own, so that a causal one is causal from the end on. q [n, Nq, D], k and v [M, Nkv, D].
at::Tensor one_segment(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, bool causal,
                       const AttentionShape& shape) {
  if (k.size(0) == 0) return at::zeros(q.sizes(), q.options());
  const int64_t repeat = q.size(1) / k.size(1);
  const at::Tensor qh = heads_first(q, 1), kh = heads_first(k, repeat), vh = heads_first(v, repeat);
  const at::Tensor o = causal ? causal_by_block(qh, kh, vh, shape, kMaskRows)
                              : attend(qh, kh, vh, {}, /*causal=*/false, shape.scale);
  return o.squeeze(0).transpose(0, 1);
}

at::Tensor mixed_segments(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                          const AttentionPlan& plan, const AttentionShape& shape) {
  std::vector<int64_t> keys;
  for (const AttentionSegment& segment : plan.segments) keys.push_back(segment.keys);
  const auto qs = q.split_with_sizes(plan.lengths), ks = k.split_with_sizes(keys),
             vs = v.split_with_sizes(keys);
  std::vector<at::Tensor> out;
  for (size_t s = 0; s < qs.size(); ++s) {
    if (plan.lengths[s] == 0) continue;
    std::vector<at::Tensor> seen_k, seen_v;
    for (const int32_t t : plan.visible[s]) {
      seen_k.push_back(ks[static_cast<size_t>(t)]);
      seen_v.push_back(vs[static_cast<size_t>(t)]);
    }
    seen_k.push_back(ks[s]);
    seen_v.push_back(vs[s]);
    out.push_back(one_segment(qs[s], at::cat(seen_k), at::cat(seen_v),
                              plan.segments[s].mode == AttentionMode::causal, shape));
  }
  return at::cat(out, 0);
}

}  // namespace

at::Tensor attention_by_segment(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                                const AttentionPlan& plan, const AttentionShape& shape) {
  if (q.size(0) == 0) return q.clone();
  if (!plan.uniform) return mixed_segments(q, k, v, plan, shape);
  return plan.causal ? causal_segments(q, k, v, plan, shape)
                     : full_segments(q, k, v, plan, shape.scale);
}

}  // namespace lmms::kernels
