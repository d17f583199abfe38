#include "kernels/scatter_rows/scatter_rows.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/index_add.h>
#include <ATen/ops/index_copy.h>
#include <ATen/ops/index_select.h>
#include <torch/csrc/autograd/custom_function.h>

#include "kernels/device.h"
#include "kernels/dims.h"
#include "kernels/form.h"
#include "kernels/scatter_rows/move_rows.h"
#include "kernels/work.h"

namespace lmms::kernels {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::tensor_list;

int64_t row_bytes(const at::Tensor& x) {
  return x.size(1) * static_cast<int64_t>(x.element_size());
}

// On meta tensors both allocate and launch nothing.
at::Tensor gathered(const at::Tensor& x, const at::Tensor& rows) {
  const at::Tensor from = x.contiguous();
  at::Tensor out = at::empty({rows.size(0), x.size(1)}, x.options());  // [M, H]
  record_pass({out, out}, 0.9);
  if (!x.is_cuda()) return out;
  gather_rows_cuda({from.const_data_ptr(), rows.const_data_ptr<int64_t>(), out.mutable_data_ptr(),
                    rows.size(0), row_bytes(x)},
                   current_stream());
  check_last_launch("gather_rows");
  return out;
}

// base or values may be undefined: zeros.
at::Tensor spread(const at::Tensor& base, const at::Tensor& rows, const at::Tensor& values,
                  int64_t T, Meeting meeting) {
  const at::Tensor& any = base.defined() ? base : values;
  const at::Tensor b = base.defined() ? base.contiguous() : base,
                   v = values.defined() ? values.contiguous() : values;
  at::Tensor out = at::empty({T, any.size(1)}, any.options());  // [T, H]
  record_pass({b, v, out}, 0.9);
  if (!any.is_cuda()) return out;
  SpreadRowsArgs args;
  args.base = b.defined() ? b.const_data_ptr() : nullptr;
  args.rows = rows.const_data_ptr<int64_t>();
  args.values = v.defined() ? v.const_data_ptr() : nullptr;
  args.out = out.mutable_data_ptr();
  args.T = T;
  args.M = rows.size(0);
  args.row_bytes = row_bytes(any);
  args.meeting = meeting;
  spread_rows_cuda(args, current_stream());
  check_last_launch("spread_rows");
  return out;
}

struct SelectRows : torch::autograd::Function<SelectRows> {
  static at::Tensor forward(AutogradContext* ctx, const at::Tensor& x, const at::Tensor& rows) {
    ctx->save_for_backward({rows});
    ctx->saved_data["T"] = x.size(0);
    return gathered(x, rows);
  }
  static tensor_list backward(AutogradContext* ctx, tensor_list grads) {
    const at::Tensor rows = ctx->get_saved_variables()[0];
    return {spread({}, rows, grads[0], ctx->saved_data["T"].toInt(), Meeting::replace), {}};
  }
};

struct PlaceRows : torch::autograd::Function<PlaceRows> {
  static at::Tensor forward(AutogradContext* ctx, const at::Tensor& x, const at::Tensor& rows,
                            const at::Tensor& values) {
    ctx->save_for_backward({rows});
    return spread(x, rows, values, x.size(0), Meeting::replace);
  }
  static tensor_list backward(AutogradContext* ctx, tensor_list grads) {
    const at::Tensor rows = ctx->get_saved_variables()[0];
    const at::Tensor& dy = grads[0];
    at::Tensor dx, dvalues;
    if (ctx->needs_input_grad(0)) dx = spread(dy, rows, {}, dy.size(0), Meeting::replace);
    if (ctx->needs_input_grad(2)) dvalues = gathered(dy, rows);
    return {dx, {}, dvalues};
  }
};

struct AddRows : torch::autograd::Function<AddRows> {
  static at::Tensor forward(AutogradContext* ctx, const at::Tensor& x, const at::Tensor& rows,
                            const at::Tensor& values) {
    ctx->save_for_backward({rows});
    return spread(x, rows, values, x.size(0),
                  x.scalar_type() == at::kFloat ? Meeting::add_f32 : Meeting::add_bf16);
  }
  static tensor_list backward(AutogradContext* ctx, tensor_list grads) {
    const at::Tensor rows = ctx->get_saved_variables()[0];
    at::Tensor dvalues;
    if (ctx->needs_input_grad(2)) dvalues = gathered(grads[0], rows);
    return {grads[0], {}, dvalues};
  }
};

void check(const at::Tensor& rows) {
  TORCH_INTERNAL_ASSERT(rows.dim() == 1 && rows.is_contiguous() && rows.scalar_type() == at::kLong,
                        "rows: expected contiguous int64, found ", rows.sizes(), " of ",
                        rows.scalar_type());
}

void check(const at::Tensor& x, const at::Tensor& rows, const at::Tensor& values) {
  check(rows);
  const auto [M, H] = dims<2>(values, "values");
  TORCH_INTERNAL_ASSERT(x.size(1) == H && rows.size(0) == M, "x ", x.sizes(), ", rows ",
                        rows.sizes(), ", values ", values.sizes());
  TORCH_INTERNAL_ASSERT(x.scalar_type() == values.scalar_type(), x.scalar_type(), " and ",
                        values.scalar_type());
}

}  // namespace

bool rows_are_fused(const at::Tensor& x) {
  return has_kernels(x) && x.dim() == 2 && row_bytes(x) % 16 == 0;
}

at::Tensor select_rows(const at::Tensor& x, const at::Tensor& rows) {
  (void)dims<2>(x, "x");
  check(rows);
  if (!rows_are_fused(x)) return at::index_select(x, 0, rows);
  return SelectRows::apply(x, rows);
}

at::Tensor place_rows(const at::Tensor& x, const at::Tensor& rows, const at::Tensor& values) {
  (void)dims<2>(x, "x");
  check(x, rows, values);
  if (!rows_are_fused(x)) return at::index_copy(x, 0, rows, values);
  return PlaceRows::apply(x, rows, values);
}

at::Tensor add_rows(const at::Tensor& x, const at::Tensor& rows, const at::Tensor& values) {
  (void)dims<2>(x, "x");
  check(x, rows, values);
  if (!rows_are_fused(x)) return at::index_add(x, 0, rows, values);
  return AddRows::apply(x, rows, values);
}

}  // namespace lmms::kernels
