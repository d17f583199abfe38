#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>

#include "kernels/device.h"
#include "kernels/gpu_benching.h"
#include "kernels/modulation/modulation_cases.h"
#include "kernels/modulation/modulation_cuda.h"

namespace lmms::kernels::benching {
namespace {

struct Case {
  int64_t T, D, S;
  TokenRows rows;
  at::Tensor x, delta, dsum, sum, y, mean, rstd, modulation, gradients, partials;

  explicit Case(const testing::ModulationCase& c)
      : T(c.tokens()),
        D(c.D),
        S(c.rows()),
        rows(c.token_rows(at::kCUDA)),
        x(random({T, D})),
        delta(random({T, D})),
        dsum(random({T, D})),
        sum(at::empty_like(x)),
        y(at::empty_like(x)),
        mean(random({T}, at::kFloat)),
        rstd(random({T}, at::kFloat)),
        modulation(random({S, 6 * D}, at::kFloat)),
        gradients(random({3, S, D}, at::kFloat)),
        partials(random({modulation_chunks(for_kernels(), T), 3, D}, at::kFloat)) {}

  ModulationRows for_kernels() const {
    ModulationRows out;
    out.rows = S;
    out.chunk = modulation_chunk(T, 2 * D);
    if (rows.starts.defined())
      out.starts = rows.starts.const_data_ptr<int32_t>();
    else
      out.each = rows.lengths.item<int64_t>();
    return out;
  }
  ModulationPart part(int64_t i) const {
    return {modulation.const_data_ptr<float>() + i * D, 6 * D};
  }
};

void bench(const testing::ModulationCase& described) {
  const Case c(described);
  ModulationForward f;
  f.x = c.x.const_data_ptr();
  f.delta = c.delta.const_data_ptr();
  f.gate = c.part(0);
  f.shift = c.part(1);
  f.scale = c.part(2);
  f.sum = c.sum.mutable_data_ptr();
  f.y = c.y.mutable_data_ptr();
  f.mean = c.mean.mutable_data_ptr<float>();
  f.rstd = c.rstd.mutable_data_ptr<float>();
  f.rows = c.for_kernels();
  f.T = c.T;
  f.D = c.D;
  f.eps = 1e-6f;
  const double row = 2.0 * static_cast<double>(c.T * c.D),
               vectors = 4.0 * static_cast<double>(c.S * c.D);
  report_bytes(sizes("modulated norm add forward  " + described.name, c.T, c.D),
               time([&] { modulation_forward_cuda(f, current_stream()); }), 4 * row + 3 * vectors);
  ModulationBackward b;
  b.dy = c.y.const_data_ptr();
  b.sum = c.x.const_data_ptr();
  b.delta = c.delta.const_data_ptr();
  b.dsum = c.dsum.const_data_ptr();
  b.mean = c.mean.const_data_ptr<float>();
  b.rstd = c.rstd.const_data_ptr<float>();
  b.gate = c.part(0);
  b.scale = c.part(2);
  const at::Tensor ddelta = at::empty_like(c.x);
  b.dx = c.sum.mutable_data_ptr();
  b.ddelta = ddelta.mutable_data_ptr();
  b.partials = c.partials.mutable_data_ptr<float>();
  auto* gradients = c.gradients.mutable_data_ptr<float>();
  b.dshift = gradients;
  b.dscale = gradients + c.S * c.D;
  b.dgate = gradients + 2 * c.S * c.D;
  b.rows = c.for_kernels();
  b.T = c.T;
  b.D = c.D;
  report_bytes(sizes("modulated norm add backward " + described.name, c.T, c.D),
               time([&] { modulation_backward_cuda(b, current_stream()); }), 6 * row + 5 * vectors);
}

}  // namespace

void bench_modulation() {
  for (const testing::ModulationCase& c : testing::modulation_cases(testing::kTimed)) bench(c);
}

}  // namespace lmms::kernels::benching
