#include "nn/modulation.h"

#include <c10/core/GradMode.h>

#include "kernels/dims.h"

namespace lmms::nn {

std::vector<Modulation> halves_of(const at::Tensor& product, int64_t halves) {
  const auto [S, all] = kernels::dims<2>(product, "modulation");
  TORCH_INTERNAL_ASSERT(all % (3 * halves) == 0, all, " columns for ", halves, " halves");
  const int64_t H = all / (3 * halves);
  // split, whose gradient is put together in one pass
  const std::vector<at::Tensor> parts = product.to(at::kFloat).split(H, 1);
  std::vector<Modulation> out;
  for (size_t i = 0; i < parts.size(); i += 3)
    out.push_back({parts[i], parts[i + 1], parts[i + 2]});
  return out;
}

void ModulatedResidual::settle() {
  if (!delta.defined()) return;
  hidden = kernels::gated_sum(hidden, delta, gate, rows);
  delta = at::Tensor();
  gate = at::Tensor();
}

kernels::Normed ModulatedResidual::settle_through(const at::Tensor& shift, const at::Tensor& scale,
                                                  double eps, const UnitRun& how) {
  kernels::Normed normed =
      kernels::modulated_norm(hidden, delta, gate, {shift, scale, rows, eps, how.kernels.norm});
  hidden = normed.sum;
  delta = at::Tensor();
  gate = at::Tensor();
  return normed;
}

void modulated_mlp_half(ModulatedResidual& stream, const Modulation& by, double eps, const Mlp& mlp,
                        const UnitRun& how) {
  if (how.keep != Keep::attention || !c10::GradMode::is_enabled()) {
    stream.delta = mlp(stream.settle_through(by.shift, by.scale, eps, how), how);
    stream.gate = by.gate;
    return;
  }
  stream.settle();
  UnitRun whole = how;
  whole.keep = Keep::everything;  // what backward makes lives for one backward
  stream.delta = detail::run_recomputed(
      [&mlp, eps, whole, rows = stream.rows](const detail::Tensors& in) {
        ModulatedResidual again{in[0], {}, {}, rows};
        return detail::Tensors{mlp(again.settle_through(in[1], in[2], eps, whole), whole)};
      },
      {stream.hidden, by.shift, by.scale})[0];
  stream.gate = by.gate;
}

}  // namespace lmms::nn
