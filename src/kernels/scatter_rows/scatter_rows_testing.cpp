#include "kernels/scatter_rows/scatter_rows_testing.h"

#include "kernels/on_device.h"
#include "kernels/op_testing.h"
#include "kernels/scatter_rows/scatter_rows.h"

namespace lmms::kernels::testing {
namespace {

void expect_equal(const Op& op, const Op& plain, const Tensors& inputs) {
  const auto ours = run(op, inputs), theirs = run(plain, inputs);
  EXPECT_TRUE(ours.value.equal(theirs.value));
  for (size_t i = 0; i < inputs.size(); ++i)
    EXPECT_TRUE(ours.gradients[i].equal(theirs.gradients[i])) << "gradient " << i;
}

}  // namespace

void expect_rows_equal_index_ops(const ScatterRowsCase& c, at::Device device) {
  const std::vector<int64_t> list = rows_of(c);
  const at::Tensor rows = on_device(list, at::kLong, device);
  const auto M = static_cast<int64_t>(list.size());
  for (const at::ScalarType type : {at::kFloat, at::kBFloat16}) {
    const at::Tensor x = random("x", {c.T, c.H}).to(type).to(device),
                     values = random("v", {M, c.H}).to(type).to(device);
    expect_equal([&](const Tensors& t) { return select_rows(t[0], rows); },
                 [&](const Tensors& t) { return t[0].index_select(0, rows); }, {x});
    expect_equal([&](const Tensors& t) { return place_rows(t[0], rows, t[1]); },
                 [&](const Tensors& t) { return t[0].index_copy(0, rows, t[1]); }, {x, values});
    expect_equal([&](const Tensors& t) { return add_rows(t[0], rows, t[1]); },
                 [&](const Tensors& t) { return t[0].index_add(0, rows, t[1]); }, {x, values});
  }
}

}  // namespace lmms::kernels::testing
