#include "kernels/embedding/embedding.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/tensor.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include <algorithm>
#include <vector>

#include "kernels/embedding/embedding_cases.h"

namespace lmms::kernels {
namespace {

class EmbeddingPlans : public ::testing::TestWithParam<testing::EmbeddingCase> {};

TEST_P(EmbeddingPlans, takes_each_position_once_and_keeps_the_order_of_equal_ids) {
  const std::vector<int32_t> ids = testing::ids_of(GetParam());
  const int64_t n = GetParam().T;
  const EmbeddingPlan plan = embedding_plan(ids, at::kCPU);
  std::vector<int32_t> order(plan.order.const_data_ptr<int32_t>(),
                             plan.order.const_data_ptr<int32_t>() + n);
  EXPECT_TRUE(std::is_sorted(order.begin(), order.end(), [&](int32_t a, int32_t b) {
    return std::pair(ids[static_cast<size_t>(a)], a) < std::pair(ids[static_cast<size_t>(b)], b);
  }));
  int64_t at = 0, partials = 0;
  const auto* pieces = plan.pieces.const_data_ptr<int32_t>();
  for (int64_t p = 0; p < plan.pieces.size(0); ++p, pieces += 4) {
    EXPECT_EQ(pieces[0], at);
    EXPECT_LE(pieces[1], kEmbeddingPiece);
    for (int32_t j = 0; j < pieces[1]; ++j)
      EXPECT_EQ(ids[static_cast<size_t>(order[static_cast<size_t>(at + j)])], pieces[2]);
    at += pieces[1];
    if (pieces[3] >= 0) {
      EXPECT_EQ(pieces[3], partials++);
    }
  }
  EXPECT_EQ(at, n);
  EXPECT_EQ(partials, plan.partials);
  int64_t in_runs = 0;
  const auto* runs = plan.runs.const_data_ptr<int32_t>();
  for (int64_t r = 0; r < plan.runs.size(0); ++r, runs += 4) {
    EXPECT_EQ(runs[0], in_runs);
    in_runs += runs[1];
  }
  EXPECT_EQ(in_runs, partials);
}

INSTANTIATE_TEST_SUITE_P(Cases, EmbeddingPlans,
                         ::testing::ValuesIn(testing::cases_for(testing::kOnCpu,
                                                                testing::kEmbeddingCases)));

TEST(EmbeddingMeta, takes_what_a_gpu_would_without_computing) {
  const auto meta = at::TensorOptions().device(at::kMeta);
  const at::Tensor W = at::empty({100, 16}, meta.dtype(at::kBFloat16)).set_requires_grad(true),
                   slot = at::empty({100, 16}, meta.dtype(at::kFloat));
  const std::vector<int32_t> ids = testing::ids_of({300, 100, 16, testing::kOnCpu});
  const at::Tensor y =
      embedding(W, at::empty({300}, meta.dtype(at::kInt)), embedding_plan(ids, at::kMeta), slot);
  EXPECT_EQ(y.sizes(), (at::IntArrayRef{300, 16}));
  torch::autograd::backward({y}, {at::empty({300, 16}, y.options())});
  EXPECT_FALSE(W.grad().defined()) << "the gradient is in its slot";
}

}  // namespace
}  // namespace lmms::kernels
