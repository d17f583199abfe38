#include <ATen/TensorOperators.h>
#include <ATen/ops/index_add.h>
#include <ATen/ops/ones_like.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include "kernels/embedding/embedding.h"
#include "kernels/embedding/embedding_cases.h"
#include "kernels/gpu_testing.h"
#include "kernels/on_device.h"
#include "kernels/op_testing.h"

namespace lmms::kernels {
namespace {

using testing::random;
using testing::relative_error;

class EmbeddingCuda : public testing::GpuTestWith<testing::EmbeddingCase> {};

TEST_P(EmbeddingCuda, adds_its_gradient_into_the_slot_with_the_same_bits_each_time) {
  const auto [T, V, H, use] = GetParam();
  const at::Device cuda(at::kCUDA, 0);
  const std::vector<int32_t> ids = testing::ids_of(GetParam());
  const EmbeddingPlan plan = embedding_plan(ids, cuda);
  const at::Tensor on_gpu = on_device(ids, at::kInt, cuda);
  for (const at::ScalarType type : {at::kFloat, at::kBFloat16}) {
    const at::Tensor W = random("W", {V, H}).to(type).to(cuda).set_requires_grad(true),
                     dy = random("dy", {T, H}).to(type).to(cuda);
    const at::Tensor exact = at::zeros({V, H}, dy.options().dtype(at::kDouble))
                                 .index_add(0, on_gpu.to(at::kLong), dy.to(at::kDouble));
    for (const at::ScalarType slot_type : {at::kFloat, at::kBFloat16}) {
      std::vector<at::Tensor> slots;
      for (int run = 0; run < 2; ++run) {
        const at::Tensor slot = at::ones_like(W.detach(), W.options().dtype(slot_type));
        const at::Tensor y = embedding(W, on_gpu, plan, slot);
        EXPECT_TRUE(y.detach().equal(W.detach().index_select(0, on_gpu)));
        torch::autograd::backward({y}, {dy});
        EXPECT_FALSE(W.grad().defined());
        slots.push_back(slot);
      }
      EXPECT_TRUE(slots[0].equal(slots[1])) << "other bits in the second run";
      const double bound = slot_type == at::kFloat ? 1e-6 : 1.0 / 256;
      EXPECT_LE(relative_error(slots[0], exact + 1.0), bound);
    }
    const at::Tensor y = embedding(W, on_gpu, plan);
    const at::Tensor dW = torch::autograd::grad({y}, {W}, {dy})[0];
    EXPECT_LE(relative_error(dW, exact), type == at::kFloat ? 1e-6 : 1.0 / 256);
  }
}

INSTANTIATE_TEST_SUITE_P(Cases, EmbeddingCuda,
                         ::testing::ValuesIn(testing::cases_for(testing::kOnGpu,
                                                                testing::kEmbeddingCases)));

}  // namespace
}  // namespace lmms::kernels
