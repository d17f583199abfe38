#include <ATen/TensorOperators.h>
#include <ATen/core/Generator.h>
#include <ATen/ops/addmm.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/randint.h>

#include <string>
#include <tuple>

#include "kernels/device.h"
#include "kernels/gpu_benching.h"
#include "kernels/linear_loss/linear_loss.h"
#include "kernels/linear_loss/linear_loss_cases.h"
#include "kernels/linear_loss/softmax_gradient.h"

namespace lmms::kernels::benching {
namespace {

void bench_softmax(int64_t n, int64_t V) {
  const at::Tensor logits = random({n, V}), weights = random({n}, at::kFloat),
                   targets = at::randint(V, {n}, logits.options().dtype(at::kLong)),
                   losses = at::empty({n}, weights.options());
  SoftmaxGradientArgs args;
  args.logits = logits.mutable_data_ptr();
  args.targets = targets.const_data_ptr<int64_t>();
  args.weights = weights.const_data_ptr<float>();
  args.losses = losses.mutable_data_ptr<float>();
  const std::string what = "softmax_gradient n=" + std::to_string(n) + " V=" + std::to_string(V);
  args.N = n;
  args.V = args.stride = V;
  const auto cells = static_cast<double>(n * V);
  report_bytes(what, time([&] { softmax_gradient_cuda(args, current_stream()); }), 4 * cells);
  args.gradient = false;
  report_bytes(what + ", loss alone", time([&] { softmax_gradient_cuda(args, current_stream()); }),
               2 * cells);
}

// FLOPs a second of the three products of a chunk alone, written in bf16.
double gemm_rate_of(int64_t rows, int64_t V, int64_t H) {
  const at::Tensor h = random({rows, H}), W = random({V, H});
  at::Tensor x = at::empty({rows, V}, h.options()), dh = at::empty_like(h), dW = at::empty_like(W);
  double total = 0;
  const double flops = 2.0 * static_cast<double>(rows * V) * static_cast<double>(H);
  const auto product = [&](const char* name, const std::function<void()>& work) {
    const Timing t = time(work, 10);
    report_flops(
        "  " + std::string(name) + " rows=" + std::to_string(rows) + " H=" + std::to_string(H), t,
        flops);
    total += t.median * 1e-3;
  };
  product("logits", [&] { at::mm_out(x, h, W.t()); });
  x.uniform_(-1, 1);
  product("dh", [&] { at::mm_out(dh, x, W); });
  product("dW", [&] { at::mm_out(dW, x.t(), h); });
  at::Tensor wide = at::empty(dW.sizes(), dW.options().dtype(at::kFloat)).zero_();
  const Timing t =
      time([&] { at::addmm_out(wide, wide, x.t(), h, at::ScalarType(at::kFloat), 1.0); }, 10);
  report_flops("  dW += in fp32 rows=" + std::to_string(rows) + " H=" + std::to_string(H), t,
               flops);
  return 3 * flops / total;
}

void bench_head(const testing::LinearLossCase& c, at::ScalarType slot_type) {
  const auto [N, V, H] = std::tuple(c.N, c.V, c.H);
  const double ceiling = gemm_rate_of(c.rows, V, H);
  const at::Tensor h = random({N, H}).set_requires_grad(true), W = random({V, H}),
                   weights = random({N}, at::kFloat),
                   targets = at::randint(V, {N}, W.options().dtype(at::kLong));
  LinearLossOptions options;
  options.weight_gradient = at::empty({V, H}, W.options().dtype(slot_type)).zero_();
  const double flops = 6.0 * static_cast<double>(N * V) * static_cast<double>(H);
  for (int64_t rows : {1024, 2048, 2560, 3328, 4096, 5120, 6784}) {
    options.chunk_bytes = 2 * V * rows;
    const Timing t =
        time([&] { (void)linear_loss(h, W, targets, weights, options); }, rows == c.rows ? 20 : 6);
    report_flops("linear_loss N=" + std::to_string(c.N) + " V=" + std::to_string(c.V) +
                     " H=" + std::to_string(c.H) + " slot " +
                     (slot_type == at::kFloat ? "fp32" : "bf16") + " rows=" + std::to_string(rows),
                 t, flops, ceiling);
  }
}

}  // namespace

void bench_linear_loss() {
  const auto cases = testing::cases_for(testing::kTimed, testing::kLinearLossCases);
  bench_softmax(cases.front().rows, cases.front().V);
  for (const auto& c : cases) {
    bench_head(c, at::kBFloat16);
    if (c.H < 4096) bench_head(c, at::kFloat);
  }
}

}  // namespace lmms::kernels::benching
