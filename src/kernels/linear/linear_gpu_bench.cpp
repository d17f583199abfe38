#include "kernels/device.h"
#include "kernels/gpu_benching.h"
#include "kernels/linear/column_sum_cuda.h"
#include "kernels/linear/linear_cases.h"

namespace lmms::kernels::benching {

// Of the products, which are cuBLAS's, the kernel of ours alone.
void bench_linear() {
  for (const auto& c : testing::cases_for(testing::kTimed, testing::kLinearCases)) {
    const at::Tensor x = random({c.T, c.N}),
                     partials = random({column_sum_rows(c.T, c.N), c.N}, at::kFloat);
    report_bytes(sizes("bias gradient", c.T, c.N), time([&] {
                   column_sum_cuda(x.const_data_ptr(), c.T, c.N, partials.mutable_data_ptr<float>(),
                                   current_stream());
                 }),
                 2.0 * static_cast<double>(c.T * c.N));
  }
}

}  // namespace lmms::kernels::benching
