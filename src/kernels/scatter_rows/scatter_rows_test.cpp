#include "kernels/scatter_rows/scatter_rows.h"

#include <ATen/ops/empty.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include "kernels/scatter_rows/scatter_rows_testing.h"

namespace lmms::kernels {
namespace {

class ScatterRowsOnCpu : public ::testing::TestWithParam<testing::ScatterRowsCase> {};

TEST_P(ScatterRowsOnCpu, equal_index_ops_forward_and_backward) {
  testing::expect_rows_equal_index_ops(GetParam(), at::kCPU);
}

INSTANTIATE_TEST_SUITE_P(Cases, ScatterRowsOnCpu,
                         ::testing::ValuesIn(testing::cases_for(testing::kOnCpu,
                                                                testing::kScatterRowsCases)));

TEST(ScatterRows, on_meta_tensors_have_shapes_and_gradients_alone) {
  const auto meta = at::TensorOptions().device(at::kMeta);
  const at::Tensor x = at::empty({50, 16}, meta.dtype(at::kBFloat16)).set_requires_grad(true),
                   values = at::empty({20, 16}, x.options()).set_requires_grad(true),
                   rows = at::empty({20}, meta.dtype(at::kLong));
  ASSERT_TRUE(rows_are_fused(x));
  const at::Tensor y =
      select_rows(add_rows(place_rows(x, rows, values), rows, values), rows);  // [20, 16]
  EXPECT_EQ(y.sizes(), values.sizes());
  const auto gradients =
      torch::autograd::grad({y}, {x, values}, {at::empty({20, 16}, meta.dtype(at::kBFloat16))});
  EXPECT_EQ(gradients[0].sizes(), x.sizes());
  EXPECT_EQ(gradients[1].sizes(), values.sizes());
}

}  // namespace
}  // namespace lmms::kernels
