#include "kernels/device.h"
#include "kernels/gpu_benching.h"
#include "kernels/qk_norm_rope/qk_norm_rope_cases.h"
#include "kernels/qk_norm_rope/qk_norm_rope_cuda.h"

namespace lmms::kernels::benching {
namespace {

void bench(const testing::QkNormRopeCase& c) {
  const int64_t row = (c.q_heads + 2 * c.k_heads) * c.D, width = (c.q_heads + c.k_heads) * c.D;
  const at::Tensor x = random({c.T, row}), d = random({c.T, row}), out = random({c.T, width}),
                   w = random({c.D}), cos = random({c.T, c.D / 2}, at::kFloat),
                   sin = random({c.T, c.D / 2}, at::kFloat),
                   partials = random({2000, c.D}, at::kFloat);
  QkNormRopeArgs a;
  a.x = x.const_data_ptr();
  a.out = c.norm ? out.mutable_data_ptr() : x.mutable_data_ptr();
  a.x_stride = row;
  a.out_stride = c.norm ? width : row;
  a.q_weight = a.k_weight = c.norm ? w.const_data_ptr() : nullptr;
  a.cos = cos.const_data_ptr<float>();
  a.sin = sin.const_data_ptr<float>();
  a.T = c.T;
  a.q_heads = c.q_heads;
  a.k_heads = c.k_heads;
  a.D = c.D;
  a.eps = 1e-6f;
  const double bytes = 2.0 * static_cast<double>(c.T * width);
  const std::string name = c.norm ? "qk_norm_rope" : "rope, in place";
  report_bytes(sizes(name + " forward", c.T, c.D),
               time([&] { qk_norm_rope_cuda(a, current_stream()); }), 2 * bytes);
  a.dy = d.const_data_ptr();
  a.out = d.mutable_data_ptr();
  a.dy_stride = a.out_stride = row;
  a.partials = partials.mutable_data_ptr<float>();
  report_bytes(sizes(name + " backward", c.T, c.D),
               time([&] { qk_norm_rope_cuda(a, current_stream()); }), (c.norm ? 3 : 2) * bytes);
}

}  // namespace

void bench_qk_norm_rope() {
  for (const auto& c : testing::cases_for(testing::kTimed, testing::kQkNormRopeCases)) bench(c);
}

}  // namespace lmms::kernels::benching
