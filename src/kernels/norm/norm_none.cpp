#include "kernels/no_cuda.h"
#include "kernels/norm/norm_cuda.h"

namespace lmms::kernels {

void norm_forward_cuda(const NormForward&, CUstream_st*) {
  no_cuda();
}
int64_t norm_partials(int64_t, NormDtype, bool) {
  return 264;  // of an H100, for a plan without a GPU
}
void norm_backward_cuda(const NormBackward&, CUstream_st*) {
  no_cuda();
}

}  // namespace lmms::kernels
