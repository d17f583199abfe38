#include "kernels/gpu_testing.h"
#include "kernels/scatter_rows/scatter_rows_testing.h"

namespace lmms::kernels {
namespace {

class ScatterRowsOnGpu : public testing::GpuTestWith<testing::ScatterRowsCase> {};

TEST_P(ScatterRowsOnGpu, equal_index_ops_forward_and_backward) {
  testing::expect_rows_equal_index_ops(GetParam(), at::Device(at::kCUDA, 0));
}

INSTANTIATE_TEST_SUITE_P(Cases, ScatterRowsOnGpu,
                         ::testing::ValuesIn(testing::cases_for(testing::kOnGpu,
                                                                testing::kScatterRowsCases)));

}  // namespace
}  // namespace lmms::kernels
