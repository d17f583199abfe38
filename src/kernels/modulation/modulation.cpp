#include "kernels/modulation/modulation.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/mean.h>
#include <ATen/ops/rsqrt.h>
#include <ATen/ops/sum.h>
#include <ATen/ops/zeros_like.h>
#include <torch/csrc/autograd/custom_function.h>

#include "kernels/device.h"
#include "kernels/dims.h"
#include "kernels/modulation/modulation_cuda.h"
#include "kernels/work.h"

namespace lmms::kernels {

namespace {

using torch::autograd::AutogradContext;
using torch::autograd::tensor_list;

// What enters: x, delta [T, D]; gate, shift, scale [S, D]. Without shift and scale there is no
// norm.
struct Inputs {
  at::Tensor x, delta, gate, shift, scale;
  TokenRows rows;
  double eps = 0;
};

// What forward leaves for backward; statistics [T, 1].
struct Forward {
  at::Tensor y, sum, mean, rstd;
};

struct Gradients {
  at::Tensor dx, ddelta, dgate, dshift, dscale;
};

bool fuses(const at::Tensor& x, Form form) {
  const int64_t bytes = x.size(-1) * static_cast<int64_t>(x.element_size());
  return form == Form::fused && has_kernels(x) && bytes % 16 == 0 && bytes <= kMostModulatedBytes;
}

// --- The composition of ATen's kernels, in parts of tokens whose rows have as many tokens each.

// `count` rows from `row` on, of `each` tokens from `begin` on; without a row if row < 0.
struct Part {
  int64_t begin, row, count, each;

  // Of [T, D] or [T, 1]: [count, each, D].
  at::Tensor tokens(const at::Tensor& t) const {
    return t.narrow(0, begin, count * each).view({count, each, t.size(1)});
  }
  // Of [S, D]: [count, 1, D].
  at::Tensor rows(const at::Tensor& t) const { return t.narrow(0, row, count).unsqueeze(1); }
};

std::vector<Part> parts_of(const TokenRows& rows, int64_t T) {
  const auto* lengths = rows.lengths.const_data_ptr<int64_t>();
  const bool equal = rows.lengths.numel() == 1;
  std::vector<Part> parts;
  int64_t begin = 0;
  for (int64_t s = 0; s < rows.rows; ++s) {
    const int64_t each = lengths[equal ? 0 : s];
    if (!parts.empty() && parts.back().each == each)
      ++parts.back().count;
    else
      parts.push_back({begin, s, 1, each});
    begin += each;
  }
  TORCH_INTERNAL_ASSERT(begin <= T, rows.rows, " rows have ", begin, " tokens of ", T);
  if (begin < T) parts.push_back({begin, -1, 1, T - begin});
  return parts;
}

// [n, each, D] in turn as one [T, D].
at::Tensor joined(const tensor_list& parts) {
  tensor_list flat;
  for (const at::Tensor& t : parts) flat.push_back(t.reshape({-1, t.size(2)}));
  return flat.size() == 1 ? flat[0] : at::cat(flat);
}

Forward forward_plain(const Inputs& in) {
  const at::ScalarType dtype = in.x.scalar_type();
  tensor_list sums, ys, means, rstds;
  for (const Part& part : parts_of(in.rows, in.x.size(0))) {
    at::Tensor sum = part.tokens(in.x);
    if (in.delta.defined() && part.row >= 0)
      sum = (sum.to(at::kFloat) + part.rows(in.gate) * part.tokens(in.delta)).to(dtype);
    sums.push_back(sum);
    if (!in.shift.defined()) continue;
    at::Tensor n = sum.to(at::kFloat);
    means.push_back(n.mean(-1, /*keepdim=*/true));
    n = n - means.back();
    rstds.push_back((n * n).mean(-1, /*keepdim=*/true).add_(in.eps).rsqrt_());
    n = n * rstds.back();
    if (part.row >= 0) n = n * (part.rows(in.scale) + 1) + part.rows(in.shift);
    ys.push_back(n.to(dtype));
  }
  Forward out;
  out.sum = in.delta.defined() ? joined(sums) : in.x;
  if (!in.shift.defined()) return out;
  out.y = joined(ys);
  out.mean = joined(means);
  out.rstd = joined(rstds);
  return out;
}

// See modulation.cu for the formulas.
Gradients backward_plain(const Inputs& in, const Forward& kept, const at::Tensor& dy,
                         const at::Tensor& dsum) {
  const at::ScalarType dtype = kept.sum.scalar_type();
  tensor_list dx, ddelta, dgate, dshift, dscale;
  for (const Part& part : parts_of(in.rows, kept.sum.size(0))) {
    const bool has_row = part.row >= 0;
    at::Tensor d;
    if (dy.defined()) {
      const at::Tensor up = part.tokens(dy).to(at::kFloat), rstd = part.tokens(kept.rstd),
                       n = (part.tokens(kept.sum) - part.tokens(kept.mean)) * rstd;
      if (has_row) {
        dshift.push_back(up.sum(1));
        dscale.push_back((up * n).sum(1));
      }
      const at::Tensor g = has_row ? up * (part.rows(in.scale) + 1) : up;
      d = ((g - g.mean(-1, true) - n * (g * n).mean(-1, true)) * rstd).to(dtype);
    }
    // Rounded before it is added to, as where the norm runs again in backward: the same bits.
    if (dsum.defined()) d = d.defined() ? d + part.tokens(dsum) : part.tokens(dsum);
    dx.push_back(d);
    if (!in.delta.defined()) continue;
    const at::Tensor wide = d.to(at::kFloat);
    ddelta.push_back(has_row ? (part.rows(in.gate) * wide).to(dtype) : at::zeros_like(d));
    if (has_row) dgate.push_back((wide * part.tokens(in.delta)).sum(1));
  }
  Gradients out;
  out.dx = joined(dx);
  if (in.delta.defined()) {
    out.ddelta = joined(ddelta);
    out.dgate = at::cat(dgate);
  }
  if (dy.defined()) {
    out.dshift = at::cat(dshift);
    out.dscale = at::cat(dscale);
  }
  return out;
}

// --- Our kernels.

ModulationDtype dtype_of(const at::Tensor& x) {
  return x.scalar_type() == at::kBFloat16 ? ModulationDtype::bf16 : ModulationDtype::f32;
}

const void* data(const at::Tensor& t) {
  return t.defined() ? t.const_data_ptr() : nullptr;
}
void* mutable_data(const at::Tensor& t) {
  return t.defined() ? t.mutable_data_ptr() : nullptr;
}
float* mutable_floats(const at::Tensor& t) {
  return t.defined() ? t.mutable_data_ptr<float>() : nullptr;
}

at::Tensor contiguous(const at::Tensor& t) {
  return t.defined() ? t.contiguous() : t;
}
// Rows may be parts of longer ones.
at::Tensor with_whole_rows(const at::Tensor& t) {
  return t.defined() && t.stride(1) != 1 ? t.contiguous() : t;
}

ModulationPart part_of(const at::Tensor& t) {
  if (!t.defined()) return {};
  return {t.const_data_ptr<float>(), t.stride(0)};
}

ModulationRows for_kernels(const TokenRows& rows, const at::Tensor& x) {
  ModulationRows out;
  out.rows = rows.rows;
  if (rows.starts.defined())
    out.starts = rows.starts.const_data_ptr<int32_t>();
  else
    out.each = rows.lengths.const_data_ptr<int64_t>()[0];
  out.chunk = modulation_chunk(x.size(0), x.size(1) * static_cast<int64_t>(x.element_size()));
  return out;
}

Forward forward_fused(const Inputs& in) {
  const at::Tensor x = in.x.contiguous(), delta = contiguous(in.delta),
                   gate = with_whole_rows(in.gate), shift = with_whole_rows(in.shift),
                   scale = with_whole_rows(in.scale);
  const auto [T, D] = dims<2>(x, "x");
  Forward out;
  out.sum = delta.defined() ? at::empty_like(x) : x;
  if (shift.defined()) {
    out.y = at::empty_like(x);
    out.mean = at::empty({T, 1}, x.options().dtype(at::kFloat));
    out.rstd = at::empty_like(out.mean);
  }
  record_pass({x, delta, delta.defined() ? out.sum : delta, out.y}, 0.85);
  if (!x.is_cuda()) return out;
  ModulationForward a;
  a.x = data(x);
  a.delta = data(delta);
  a.gate = part_of(gate);
  a.shift = part_of(shift);
  a.scale = part_of(scale);
  a.sum = delta.defined() ? out.sum.mutable_data_ptr() : nullptr;
  a.y = mutable_data(out.y);
  a.mean = mutable_floats(out.mean);
  a.rstd = mutable_floats(out.rstd);
  a.rows = for_kernels(in.rows, x);
  a.T = T;
  a.D = D;
  a.eps = static_cast<float>(in.eps);
  a.dtype = dtype_of(x);
  modulation_forward_cuda(a, current_stream());
  check_last_launch("modulated norm");
  return out;
}

Gradients backward_fused(const Inputs& in, const Forward& kept, const at::Tensor& dy,
                         const at::Tensor& dsum) {
  const at::Tensor up = contiguous(dy), more = contiguous(dsum), delta = contiguous(in.delta),
                   gate = with_whole_rows(in.gate), scale = with_whole_rows(in.scale);
  const auto [T, D] = dims<2>(kept.sum, "x'");
  const ModulationRows rows = for_kernels(in.rows, kept.sum);
  const auto wide = kept.sum.options().dtype(at::kFloat);
  const at::Tensor partials = at::empty({modulation_chunks(rows, T), 3, D}, wide);
  const auto of_rows = [&] { return at::empty({rows.rows, D}, wide); };
  Gradients out;
  if (up.defined()) {
    out.dx = at::empty_like(kept.sum);
    out.dshift = of_rows();
    out.dscale = of_rows();
  } else {
    out.dx = more;
  }
  if (delta.defined()) {
    out.ddelta = at::empty_like(delta);
    out.dgate = of_rows();
  }
  record_pass({up, up.defined() ? kept.sum : up, delta, more, up.defined() ? out.dx : up,
               out.ddelta, partials, partials},
              0.8);
  if (!kept.sum.is_cuda()) return out;
  ModulationBackward a;
  a.dy = data(up);
  a.sum = data(kept.sum);
  a.delta = data(delta);
  a.dsum = data(more);
  if (up.defined()) {
    a.mean = kept.mean.const_data_ptr<float>();
    a.rstd = kept.rstd.const_data_ptr<float>();
    a.dx = out.dx.mutable_data_ptr();
  }
  a.gate = part_of(gate);
  a.scale = part_of(scale);
  a.ddelta = mutable_data(out.ddelta);
  a.partials = partials.mutable_data_ptr<float>();
  a.dshift = mutable_floats(out.dshift);
  a.dscale = mutable_floats(out.dscale);
  a.dgate = mutable_floats(out.dgate);
  a.rows = rows;
  a.T = T;
  a.D = D;
  a.dtype = dtype_of(kept.sum);
  modulation_backward_cuda(a, current_stream());
  check_last_launch("modulated norm backward");
  return out;
}

// --- The nodes.

Forward forward(const Inputs& in, Form form) {
  return fuses(in.x, form) ? forward_fused(in) : forward_plain(in);
}

void keep(AutogradContext* ctx, const Inputs& in, const Forward& out, Form form) {
  ctx->save_for_backward(
      {out.sum, in.delta, in.gate, in.scale, out.mean, out.rstd, in.rows.lengths, in.rows.starts});
  ctx->saved_data["rows"] = in.rows.rows;
  ctx->saved_data["fused"] = fuses(in.x, form);
}

Gradients backward(AutogradContext* ctx, const at::Tensor& dy, const at::Tensor& dsum) {
  const auto saved = ctx->get_saved_variables();
  Inputs in;
  in.delta = saved[1];
  in.gate = saved[2];
  in.scale = saved[3];
  in.rows = {ctx->saved_data["rows"].toInt(), saved[6], saved[7]};
  const Forward kept{{}, saved[0], saved[4], saved[5]};
  return (ctx->saved_data["fused"].toBool() ? backward_fused : backward_plain)(in, kept, dy, dsum);
}

struct ModulatedNorm : torch::autograd::Function<ModulatedNorm> {
  static tensor_list forward(AutogradContext* ctx, const at::Tensor& x,
                             const std::optional<at::Tensor>& delta,
                             const std::optional<at::Tensor>& gate, const at::Tensor& shift,
                             const at::Tensor& scale, const Modulation& given) {
    const Inputs in{x,
                    delta.value_or(at::Tensor()),
                    gate.value_or(at::Tensor()),
                    shift,
                    scale,
                    given.rows,
                    given.eps};
    const Forward out = kernels::forward(in, given.form);
    keep(ctx, in, out, given.form);
    return {out.y, in.delta.defined() ? out.sum : x};
  }

  static tensor_list backward(AutogradContext* ctx, tensor_list grads) {
    const Gradients g = kernels::backward(ctx, grads[0], grads[1]);
    return {g.dx, g.ddelta, g.dgate, g.dshift, g.dscale, {}};
  }
};

struct GatedSum : torch::autograd::Function<GatedSum> {
  static at::Tensor forward(AutogradContext* ctx, const at::Tensor& x, const at::Tensor& delta,
                            const at::Tensor& gate, const TokenRows& rows, Form form) {
    const Inputs in{x, delta, gate, {}, {}, rows};
    const Forward out = kernels::forward(in, form);
    keep(ctx, in, out, form);
    return out.sum;
  }

  static tensor_list backward(AutogradContext* ctx, tensor_list grads) {
    const Gradients g = kernels::backward(ctx, {}, grads[0]);
    return {g.dx, g.ddelta, g.dgate, {}, {}};
  }
};

// kept: x', shift, scale, lengths and perhaps starts of the rows.
template <Form form>
at::Tensor recompute_y(const std::vector<at::Tensor>& kept, double eps) {
  const c10::NoGradGuard no_grad;
  const TokenRows rows{kept[1].size(0), kept[3], kept.size() > 4 ? kept[4] : at::Tensor()};
  return forward({kept[0], {}, {}, kept[1], kept[2], rows, eps}, form).y;
}

void check_rows(const at::Tensor& x, const at::Tensor& part, const TokenRows& rows) {
  TORCH_INTERNAL_ASSERT(x.dim() == 2 && part.dim() == 2 && part.size(0) == rows.rows &&
                            part.size(1) == x.size(1) && part.scalar_type() == at::kFloat,
                        part.sizes(), " ", part.scalar_type(), " modulates ", x.sizes(), " in ",
                        rows.rows, " rows");
}

}  // namespace

Normed modulated_norm(const at::Tensor& x, const at::Tensor& delta, const at::Tensor& gate,
                      const Modulation& by) {
  check_rows(x, by.shift, by.rows);
  check_rows(x, by.scale, by.rows);
  if (delta.defined()) check_rows(x, gate, by.rows);
  const tensor_list out =
      ModulatedNorm::apply(x, if_defined(delta), delta.defined() ? if_defined(gate) : std::nullopt,
                           by.shift, by.scale, by);
  Recompute recompute;
  recompute.kept = {out[1].detach(), by.shift.detach(), by.scale.detach(), by.rows.lengths};
  if (by.rows.starts.defined()) recompute.kept.push_back(by.rows.starts);
  recompute.number = by.eps;
  recompute.run = by.form == Form::fused ? &recompute_y<Form::fused> : &recompute_y<Form::plain>;
  return {out[0], out[1], std::move(recompute)};
}

at::Tensor gated_sum(const at::Tensor& x, const at::Tensor& delta, const at::Tensor& gate,
                     const TokenRows& rows, Form form) {
  check_rows(x, gate, rows);
  return GatedSum::apply(x, delta, gate, rows, form);
}

}  // namespace lmms::kernels
