#include <ATen/ops/embedding_dense_backward.h>
#include <ATen/ops/zeros.h>
#include <torch/csrc/autograd/autograd.h>

#include <cmath>
#include <set>
#include <string>
#include <vector>

#include "core/rng.h"
#include "kernels/embedding/embedding.h"
#include "kernels/embedding/embedding_cases.h"
#include "kernels/gpu_benching.h"
#include "kernels/on_device.h"

namespace lmms::kernels::benching {

namespace {

// Ids as text has them, by Zipf's law.
std::vector<int32_t> zipf_ids(const testing::EmbeddingCase& c) {
  std::vector<int32_t> ids(static_cast<size_t>(c.T));
  for (size_t i = 0; i < ids.size(); ++i) {
    const double u = rng::unit(rng::philox({static_cast<uint32_t>(i), 0, 0, 0}, {1, 2})[0]);
    ids[i] = static_cast<int32_t>(std::pow(static_cast<double>(c.V), u)) - 1;
  }
  return ids;
}

void bench(const testing::EmbeddingCase& c) {
  const std::vector<int32_t> ids = zipf_ids(c);
  const auto distinct = static_cast<double>(std::set<int32_t>(ids.begin(), ids.end()).size());
  const at::Device cuda(at::kCUDA, 0);
  const EmbeddingPlan plan = embedding_plan(ids, cuda);
  const at::Tensor on_gpu = on_device(ids, at::kInt, cuda);
  const auto row = static_cast<double>(c.H), T = static_cast<double>(c.T);
  for (const at::ScalarType type : {at::kBFloat16, at::kFloat}) {
    const at::Tensor W = random({c.V, c.H}).set_requires_grad(true), dy = random({c.T, c.H});
    const at::Tensor slot = at::zeros({c.V, c.H}, W.options().dtype(type));
    const at::Tensor y = embedding(W, on_gpu, plan, slot);
    const Timing t = time([&] { torch::autograd::backward({y}, {dy}, /*keep_graph=*/true); });
    const double number = type == at::kFloat ? 4 : 2;
    report_bytes("embedding gradient T=" + std::to_string(c.T) + " H=" + std::to_string(c.H) +
                     " U=" + std::to_string(static_cast<int64_t>(distinct)) +
                     (type == at::kFloat ? " fp32" : " bf16") + " slot",
                 t, row * (2.0 * T + 2 * number * distinct));
  }
  const at::Tensor dy = random({c.T, c.H});
  report_bytes("  at::embedding_dense_backward",
               time([&] { (void)at::embedding_dense_backward(dy, on_gpu, c.V, -1, false); }),
               row * 2.0 * (T + static_cast<double>(c.V)));
}

}  // namespace

void bench_embedding() {
  for (const auto& c : testing::cases_for(testing::kTimed, testing::kEmbeddingCases)) bench(c);
}

}  // namespace lmms::kernels::benching
