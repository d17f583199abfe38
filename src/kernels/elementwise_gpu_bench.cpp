#include <ATen/ops/empty_like.h>

#include "kernels/activation/activation_cuda.h"
#include "kernels/device.h"
#include "kernels/gpu_benching.h"
#include "kernels/linear/column_sum_cuda.h"
#include "kernels/norm/norm_cuda.h"
#include "kernels/partial_sums/partial_sums_cuda.h"
#include "kernels/qk_norm_rope/qk_norm_rope_cuda.h"

namespace lmms::kernels::benching {
namespace {

at::Tensor floats(at::IntArrayRef shape) {
  return random(shape, at::kFloat);
}

std::string sizes(const char* what, int64_t T, int64_t D) {
  return std::string(what) + " T=" + std::to_string(T) + " D=" + std::to_string(D) + " bf16";
}

void norms(int64_t T, int64_t D, bool layer) {
  const at::Tensor x = random({T, D}), r = random({T, D}), w = random({D}), y = at::empty_like(x),
                   sum = at::empty_like(x), rstd = floats({T}), mean = floats({T}),
                   partials = floats({2 * norm_partials(D, NormDtype::bf16, layer), D});
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
  report_bytes(sizes((name + " add forward").c_str(), T, D),
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
  report_bytes(sizes((name + " add backward").c_str(), T, D), time([&] {
                 norm_backward_cuda(b, current_stream());
                 partial_sums_cuda(
                     {partials.const_data_ptr<float>(), norm_partials(D, NormDtype::bf16, layer), D,
                      w.mutable_data_ptr(), true, false},
                     current_stream());
               }),
               4 * row);
}

}  // namespace

void bench_norm() {
  norms(32768, 1024, false);
  norms(16384, 2048, false);
  norms(16384, 4096, false);
  norms(50000, 1280, false);
  norms(50000, 1152, true);
}

void bench_qk_norm_rope() {
  for (const auto& [T, q, k, D, norm] :
       {std::tuple<int64_t, int64_t, int64_t, int64_t, bool>{32768, 16, 8, 128, true},
        {16384, 32, 8, 128, true},
        {50000, 16, 16, 80, false}}) {
    const int64_t row = (q + 2 * k) * D;
    const at::Tensor x = random({T, row}), d = random({T, row}), out = random({T, (q + k) * D}),
                     w = random({D}), cos = floats({T, D / 2}), sin = floats({T, D / 2}),
                     partials = floats({2000, D});
    QkNormRopeArgs a;
    a.x = x.const_data_ptr();
    a.out = norm ? out.mutable_data_ptr() : x.mutable_data_ptr();
    a.x_stride = row;
    a.out_stride = norm ? (q + k) * D : row;
    a.q_weight = a.k_weight = norm ? w.const_data_ptr() : nullptr;
    a.cos = cos.const_data_ptr<float>();
    a.sin = sin.const_data_ptr<float>();
    a.T = T;
    a.q_heads = q;
    a.k_heads = k;
    a.D = D;
    a.eps = 1e-6f;
    const double bytes = 2.0 * static_cast<double>(T * (q + k) * D);
    const std::string name = norm ? "qk_norm_rope" : "rope, in place";
    report_bytes(sizes((name + " forward").c_str(), T, D),
                 time([&] { qk_norm_rope_cuda(a, current_stream()); }), 2 * bytes);
    a.dy = d.const_data_ptr();
    a.out = d.mutable_data_ptr();
    a.dy_stride = a.out_stride = row;
    a.partials = partials.mutable_data_ptr<float>();
    report_bytes(sizes((name + " backward").c_str(), T, D),
                 time([&] { qk_norm_rope_cuda(a, current_stream()); }), (norm ? 3 : 2) * bytes);
  }
}

void bench_activation() {
  for (const auto& [T, I, kind, name] : {std::tuple<int64_t, int64_t, ActivationKind, const char*>{
                                             32768, 3072, ActivationKind::silu_glu, "silu_glu"},
                                         {16384, 12288, ActivationKind::silu_glu, "silu_glu"},
                                         {50000, 4304, ActivationKind::gelu_tanh, "gelu_tanh"},
                                         {50000, 4304, ActivationKind::gelu_erf, "gelu_erf"}}) {
    const bool gated = kind == ActivationKind::silu_glu;
    const int64_t width = gated ? 2 * I : I;
    const at::Tensor u = random({T, width}), du = at::empty_like(u), h = random({T, I}),
                     dh = random({T, I});
    ActivationArgs a{u.const_data_ptr(), nullptr, h.mutable_data_ptr(), nullptr, T, I, kind, true};
    const double bytes = 2.0 * static_cast<double>(T * I);
    const std::string what = name;
    report_bytes(sizes((what + " forward").c_str(), T, I),
                 time([&] { activation_cuda(a, current_stream()); }), (gated ? 3 : 2) * bytes);
    a.dh = dh.const_data_ptr();
    a.du = du.mutable_data_ptr();
    report_bytes(sizes((what + " backward, h again").c_str(), T, I),
                 time([&] { activation_cuda(a, current_stream()); }), (gated ? 6 : 4) * bytes);
  }
  for (const auto& [T, N] : {std::pair<int64_t, int64_t>{50000, 3840}, {16384, 2560}}) {
    const at::Tensor x = random({T, N}), partials = floats({column_sum_rows(T, N), N});
    report_bytes(sizes("bias gradient", T, N), time([&] {
                   column_sum_cuda(x.const_data_ptr(), T, N, partials.mutable_data_ptr<float>(),
                                   current_stream());
                 }),
                 2.0 * static_cast<double>(T * N));
  }
}

}  // namespace lmms::kernels::benching
