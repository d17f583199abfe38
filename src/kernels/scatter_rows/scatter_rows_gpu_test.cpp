#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/index_add.h>
#include <ATen/ops/index_copy.h>
#include <ATen/ops/index_select.h>
#include <ATen/ops/tensor.h>
#include <gtest/gtest.h>

#include "core/rng.h"
#include "kernels/gpu_testing.h"
#include "kernels/on_device.h"
#include "kernels/op_testing.h"
#include "kernels/scatter_rows/scatter_rows.h"

namespace lmms::kernels {
namespace {

using testing::Op;
using testing::random;
using testing::Tensors;

struct Case {
  int64_t T, H;
  double share;  // of the rows that are listed
};

class ScatterRowsCuda : public testing::GpuTestWith<Case> {};

std::vector<int64_t> listed(const Case& c) {
  std::vector<int64_t> rows;
  for (int64_t t = 0; t < c.T; ++t) {
    const uint32_t draw = rng::philox({static_cast<uint32_t>(t), 0, 0, 0}, {8, 9})[0];
    if (rng::unit(draw) <= c.share) rows.push_back(t);
  }
  return rows;
}

// Copies are exact and sums are of two numbers: nothing may differ.
void expect_equal(const Op& op, const Op& plain, const Tensors& inputs) {
  const auto ours = testing::run(op, inputs), theirs = testing::run(plain, inputs);
  EXPECT_TRUE(ours.value.equal(theirs.value));
  for (size_t i = 0; i < inputs.size(); ++i)
    EXPECT_TRUE(ours.gradients[i].equal(theirs.gradients[i])) << "gradient " << i;
}

TEST_P(ScatterRowsCuda, equal_index_ops_forward_and_backward) {
  const Case c = GetParam();
  const at::Device cuda(at::kCUDA, 0);
  const std::vector<int64_t> list = listed(c);
  const at::Tensor rows = on_device(list, at::kLong, cuda);
  const auto M = static_cast<int64_t>(list.size());
  for (const at::ScalarType type : {at::kFloat, at::kBFloat16}) {
    const at::Tensor x = random("x", {c.T, c.H}).to(type).to(cuda),
                     values = random("v", {M, c.H}).to(type).to(cuda);
    expect_equal([&](const Tensors& t) { return select_rows(t[0], rows); },
                 [&](const Tensors& t) { return t[0].index_select(0, rows); }, {x});
    expect_equal([&](const Tensors& t) { return place_rows(t[0], rows, t[1]); },
                 [&](const Tensors& t) { return t[0].index_copy(0, rows, t[1]); }, {x, values});
    expect_equal([&](const Tensors& t) { return add_rows(t[0], rows, t[1]); },
                 [&](const Tensors& t) { return t[0].index_add(0, rows, t[1]); }, {x, values});
  }
}

INSTANTIATE_TEST_SUITE_P(Cases, ScatterRowsCuda,
                         ::testing::Values(Case{1, 8, 1.0}, Case{1, 8, 0.0}, Case{33, 16, 0.5},
                                           Case{1000, 72, 0.3}, Case{5001, 1024, 0.9},
                                           Case{5001, 1024, 0.01}, Case{40000, 64, 0.6},
                                           Case{3001, 3584, 1.0}, Case{70, 7, 0.5}));

}  // namespace
}  // namespace lmms::kernels
