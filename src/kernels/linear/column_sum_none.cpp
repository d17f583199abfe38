#include "kernels/linear/column_sum_cuda.h"
#include "kernels/no_cuda.h"

namespace lmms::kernels {

int64_t column_sum_rows(int64_t, int64_t) {
  return 64;
}
void column_sum_cuda(const void*, int64_t, int64_t, float*, CUstream_st*) {
  no_cuda();
}

}  // namespace lmms::kernels
