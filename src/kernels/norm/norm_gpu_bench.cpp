#include <ATen/ops/empty_like.h>

#include "kernels/device.h"
#include "kernels/gpu_benching.h"
#include "kernels/norm/norm_cases.h"
#include "kernels/norm/norm_cuda.h"
#include "kernels/partial_sums/partial_sums_cuda.h"

namespace lmms::kernels::benching {
namespace {

void bench(const testing::NormCase& c) {
  const auto [T, D, use, layer] = c;
  const at::Tensor x = random({T, D}), r = random({T, D}), w = random({D}), y = at::empty_like(x),
                   sum = at::empty_like(x), rstd = random({T}, at::kFloat),
                   mean = random({T}, at::kFloat),
                   partials = random({2 * norm_partials(D, NormDtype::bf16, layer), D}, at::kFloat);
  NormForward f{x.const_data_ptr(),
                r.const_data_ptr(),
                w.const_data_ptr(),
                layer ? w.const_data_ptr() : nullptr,
                sum.mutable_data_ptr(),
                y.mutable_data_ptr(),
                rstd.mutable_data_ptr<float>(),
                layer ? mean.mutable_data_ptr<float>() : nullptr,
                T,
                D,
                1e-6f,
                NormDtype::bf16};
  const std::string name = layer ? "layer_norm" : "rms_norm";
  const double row = 2.0 * static_cast<double>(T * D);
  report_bytes(sizes(name + " add forward", T, D),
               time([&] { norm_forward_cuda(f, current_stream()); }), 4 * row);
  NormBackward b{y.const_data_ptr(),
                 x.const_data_ptr(),
                 w.const_data_ptr(),
                 r.const_data_ptr(),
                 rstd.const_data_ptr<float>(),
                 layer ? mean.const_data_ptr<float>() : nullptr,
                 sum.mutable_data_ptr(),
                 partials.mutable_data_ptr<float>(),
                 T,
                 D,
                 NormDtype::bf16};
  const auto backward = [&] {
    norm_backward_cuda(b, current_stream());
    partial_sums_cuda({partials.const_data_ptr<float>(), norm_partials(D, NormDtype::bf16, layer),
                       D, w.mutable_data_ptr(), true, false},
                      current_stream());
  };
  report_bytes(sizes(name + " add backward", T, D), time(backward), 4 * row);
}

}  // namespace

void bench_norm() {
  for (const testing::NormCase& c : testing::cases_for(testing::kTimed, testing::kNormCases))
    bench(c);
}

}  // namespace lmms::kernels::benching
