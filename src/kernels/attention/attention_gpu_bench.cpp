// Attention forward and backward by every backend that takes a shape; a star marks the rule's
// choice.
#include <ATen/ops/empty_like.h>

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "core/format.h"
#include "kernels/attention/attention_cases.h"
#include "kernels/attention/attention_fused.h"
#include "kernels/device.h"
#include "kernels/gpu_benching.h"

namespace lmms::kernels::benching {
namespace {

using testing::AttentionCase;

// Pairs of a query and a key that it sees.
double visible_pairs(const AttentionCase& x) {
  double pairs = 0;
  for (const AttentionSegment& segment : x.segments) {
    const auto n = static_cast<double>(segment.queries);
    const double w = x.window > 0 ? std::min(n, static_cast<double>(x.window)) : n;
    pairs += segment.mode == AttentionMode::full ? n * n : w * n - w * (w - 1) / 2;
  }
  return pairs;
}

void bench(const AttentionCase& x, AttentionBackend backend) {
  const int64_t T = x.queries();
  const at::Tensor q = random({T, x.heads, x.head_dim}), k = random({T, x.kv_heads, x.head_dim}),
                   v = random({T, x.kv_heads, x.head_dim}), dout = random(q.sizes());
  at::Tensor dq = at::empty_like(q), dk = at::empty_like(k), dv = at::empty_like(v);
  const AttentionPlan plan = attention_plan(x.segments, q.device());
  const AttentionShape shape{x.window, 1 / std::sqrt(static_cast<double>(x.head_dim))};
  const AttentionOutput output = attention_forward_by(backend, q, k, v, plan, shape);
  const std::string what =
      fmt::format("attention {:<16} {:<11} {}", x.name, short_name(backend),
                  backend == backend_of(q, k, v, plan, /*backward=*/true) ? "*" : " ");
  const Timing forward = time([&] { attention_forward_by(backend, q, k, v, plan, shape); });
  const Timing backward =
      time([&] { attention_backward_by(backend, dout, q, k, v, output, plan, shape, dq, dk, dv); });
  const double pairs = visible_pairs(x) * static_cast<double>(x.heads * x.head_dim);
  report_flops(what + " forward ", forward, 4 * pairs);
  report_flops(what + " backward", backward, 10 * pairs);
  report_flops(
      what + " both    ",
      {forward.median + backward.median, forward.p10 + backward.p10, forward.p90 + backward.p90},
      14 * pairs);
}

}  // namespace

void bench_attention() {
  constexpr std::pair<unsigned, AttentionBackend> kBackends[] = {
      {testing::kByFlash2, AttentionBackend::flash2},
      {testing::kByCudnn, AttentionBackend::cudnn},
      {testing::kByCudnnDense, AttentionBackend::cudnn_dense},
      {testing::kByHopper, AttentionBackend::hopper},
      {testing::kByShort, AttentionBackend::short_segments},
  };
  for (const AttentionCase& x : testing::attention_cases(testing::kTimed))
    for (const auto& [use, backend] : kBackends)
      if ((x.use & use) != 0) bench(x, backend);
}

}  // namespace lmms::kernels::benching
