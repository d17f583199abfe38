#include <ATen/ops/embedding_dense_backward.h>
#include <ATen/ops/zeros.h>
#include <torch/csrc/autograd/autograd.h>

#include <cmath>
#include <set>
#include <string>
#include <vector>

#include "core/rng.h"
#include "kernels/embedding/embedding.h"
#include "kernels/gpu_benching.h"
#include "kernels/on_device.h"

namespace lmms::kernels::benching {

void bench_embedding() {
  constexpr int64_t kT = 32768, kV = 151936;
  // ids as text has them, by Zipf's law
  std::vector<int32_t> ids(kT);
  std::set<int32_t> distinct;
  for (size_t i = 0; i < ids.size(); ++i) {
    const double u = rng::unit(rng::philox({static_cast<uint32_t>(i), 0, 0, 0}, {1, 2})[0]);
    ids[i] = static_cast<int32_t>(std::pow(static_cast<double>(kV), u)) - 1;
    distinct.insert(ids[i]);
  }
  const at::Device cuda(at::kCUDA, 0);
  const EmbeddingPlan plan = embedding_plan(ids, cuda);
  const at::Tensor on_gpu = on_device(ids, at::kInt, cuda);
  for (const int64_t H : {1024, 4096}) {
    for (const at::ScalarType type : {at::kBFloat16, at::kFloat}) {
      const at::Tensor W = random({kV, H}).set_requires_grad(true), dy = random({kT, H});
      const at::Tensor slot = at::zeros({kV, H}, W.options().dtype(type));
      const at::Tensor y = embedding(W, on_gpu, plan, slot);
      const Timing t = time([&] { torch::autograd::backward({y}, {dy}, /*keep_graph=*/true); });
      const double row = static_cast<double>(H), number = type == at::kFloat ? 4 : 2;
      report_bytes("embedding gradient T=32768 H=" + std::to_string(H) +
                       " U=" + std::to_string(distinct.size()) +
                       (type == at::kFloat ? " fp32" : " bf16") + " slot",
                   t, row * (2.0 * kT + 2 * number * static_cast<double>(distinct.size())));
    }
    const at::Tensor dy = random({kT, H});
    report_bytes("  at::embedding_dense_backward",
                 time([&] { (void)at::embedding_dense_backward(dy, on_gpu, kV, -1, false); }),
                 static_cast<double>(H) * 2.0 * (kT + kV));
  }
}

}  // namespace lmms::kernels::benching
