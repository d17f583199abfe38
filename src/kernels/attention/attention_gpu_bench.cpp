// Attention forward and backward by every backend that takes a shape; a star marks the rule's
// choice.
#include <ATen/ops/empty_like.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <random>

#include "core/format.h"
#include "kernels/attention/attention_fused.h"
#include "kernels/device.h"
#include "kernels/gpu_benching.h"

namespace lmms::kernels::benching {
namespace {

using Lengths = std::vector<int64_t>;

struct Workload {
  const char* name;
  int64_t heads, kv_heads, head_dim;
  Mask mask;
  Lengths lengths;
  int64_t window = 0;
};

// Samples of chats: lognormal lengths, median 1.2k, sigma 0.9, at most 12k.
Lengths chats(int64_t tokens, uint32_t seed) {
  std::mt19937 random(seed);
  std::lognormal_distribution<double> length(std::log(1200.0), 0.9);
  Lengths out;
  while (tokens > 0) {
    const auto n = static_cast<int64_t>(length(random));
    out.push_back(std::min(tokens, std::clamp<int64_t>(n, 1, 12000)));
    tokens -= out.back();
  }
  return out;
}

// Pairs of a query and a key that it sees.
double visible_pairs(const Workload& x) {
  double pairs = 0;
  for (const int64_t length : x.lengths) {
    const auto n = static_cast<double>(length);
    const double w = x.window > 0 ? std::min(n, static_cast<double>(x.window)) : n;
    pairs += x.mask == Mask::full ? n * n : w * n - w * (w - 1) / 2;
  }
  return pairs;
}

void bench(const Workload& x, AttentionBackend backend) {
  int64_t T = 0;
  for (const int64_t n : x.lengths) T += n;
  const at::Tensor q = random({T, x.heads, x.head_dim}), k = random({T, x.kv_heads, x.head_dim}),
                   v = random({T, x.kv_heads, x.head_dim}), dout = random(q.sizes());
  at::Tensor dq = at::empty_like(q), dk = at::empty_like(k), dv = at::empty_like(v);
  const AttentionPlan plan = attention_plan(x.lengths, q.device());
  const AttentionShape shape{x.mask, x.window, 1 / std::sqrt(static_cast<double>(x.head_dim))};
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
  const Workload workloads[] = {
      {"0.6B 32k chats", 16, 8, 128, Mask::causal, chats(32768, 7)},
      {"0.6B window 1k", 16, 8, 128, Mask::causal, chats(32768, 7), 1024},
      {"8B 16k chats", 32, 8, 128, Mask::causal, chats(16384, 3)},
      {"8B 1 x 16k", 32, 8, 128, Mask::causal, {16384}},
      {"8B 32 x 512", 32, 8, 128, Mask::causal, Lengths(32, 512)},
      {"8B 128 x 128", 32, 8, 128, Mask::causal, Lengths(128, 128)},
      {"8B 256 x 64", 32, 8, 128, Mask::causal, Lengths(256, 64)},
      {"ViT 800 x 64", 16, 16, 80, Mask::full, Lengths(800, 64)},
      {"ViT 400 x 128", 16, 16, 80, Mask::full, Lengths(400, 128)},
      {"ViT 200 x 256", 16, 16, 80, Mask::full, Lengths(200, 256)},
      {"ViT 10 x 5.3k", 16, 16, 80, Mask::full, Lengths(10, 5300)},
      {"SigLIP 32 x 729", 16, 16, 72, Mask::full, Lengths(32, 729)},
      {"D=64 16k chats", 14, 2, 64, Mask::causal, chats(16384, 5)},
      {"D=96 16k chats", 16, 4, 96, Mask::causal, chats(16384, 5)},
      {"D=256 16k chats", 8, 2, 256, Mask::causal, chats(16384, 5)},
  };
  for (const Workload& x : workloads) {
    const bool equal = std::equal(x.lengths.begin() + 1, x.lengths.end(), x.lengths.begin());
    bench(x, AttentionBackend::flash2);
    bench(x, AttentionBackend::cudnn);
    if (equal) bench(x, AttentionBackend::cudnn_dense);
    if (x.head_dim <= 128) bench(x, AttentionBackend::hopper);
    if (x.heads == x.kv_heads && *std::max_element(x.lengths.begin(), x.lengths.end()) <= 64)
      bench(x, AttentionBackend::short_segments);
  }
}

}  // namespace lmms::kernels::benching
