#include "kernels/scatter_rows/scatter_rows.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/tensor.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include "kernels/op_testing.h"

namespace lmms::kernels {
namespace {

using testing::random;
using testing::Tensors;

TEST(ScatterRows, mean_what_index_ops_mean) {
  const at::Tensor x = random("x", {5, 3}), values = random("v", {2, 3}),
                   rows = at::tensor({1, 4}, at::kLong);
  EXPECT_TRUE(select_rows(x, rows).equal(x.index_select(0, rows)));
  EXPECT_TRUE(place_rows(x, rows, values).equal(x.index_copy(0, rows, values)));
  EXPECT_TRUE(add_rows(x, rows, values).equal(x.index_add(0, rows, values)));
}

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
