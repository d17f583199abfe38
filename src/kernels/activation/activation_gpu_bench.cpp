#include <ATen/ops/empty_like.h>

#include "kernels/activation/activation_cases.h"
#include "kernels/activation/activation_cuda.h"
#include "kernels/device.h"
#include "kernels/gpu_benching.h"

namespace lmms::kernels::benching {
namespace {

void bench(const testing::ActivationCase& c) {
  const bool gated = c.kind == Activation::silu_glu;
  const at::Tensor u = random({c.T, gated ? 2 * c.I : c.I}), du = at::empty_like(u),
                   h = random({c.T, c.I}), dh = random({c.T, c.I});
  ActivationArgs a{u.const_data_ptr(),
                   nullptr,
                   h.mutable_data_ptr(),
                   nullptr,
                   c.T,
                   c.I,
                   static_cast<ActivationKind>(c.kind),
                   true};
  const double bytes = 2.0 * static_cast<double>(c.T * c.I);
  const std::string name = gated                             ? "silu_glu"
                           : c.kind == Activation::gelu_tanh ? "gelu_tanh"
                                                             : "gelu_erf";
  report_bytes(sizes(name + " forward", c.T, c.I),
               time([&] { activation_cuda(a, current_stream()); }), (gated ? 3 : 2) * bytes);
  a.dh = dh.const_data_ptr();
  a.du = du.mutable_data_ptr();
  report_bytes(sizes(name + " backward, h recomputed", c.T, c.I),
               time([&] { activation_cuda(a, current_stream()); }), (gated ? 6 : 4) * bytes);
}

}  // namespace

void bench_activation() {
  for (const auto& c : testing::cases_for(testing::kTimed, testing::kActivationCases)) bench(c);
}

}  // namespace lmms::kernels::benching
