#include "core/error.h"
#include "kernels/adamw/adamw.h"

namespace lmms::kernels {
namespace {
[[noreturn]] void no_cuda() {
  throw Error("", "this build of lmms has no CUDA kernels",
              "build with nvcc on the path (make build), then run bin/cuda/lmms", Exit::failed);
}
}  // namespace

void sum_of_squares_cuda(const void*, GradientType, int64_t, double*, CUstream_st*) {
  no_cuda();
}
void adamw_decide_cuda(AdamwControl*, const double*, int64_t, CUstream_st*) {
  no_cuda();
}
void adamw_update_cuda(const AdamwControl*, const AdamwRange&, CUstream_st*) {
  no_cuda();
}

}  // namespace lmms::kernels
