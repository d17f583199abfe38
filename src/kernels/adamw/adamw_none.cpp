#include "kernels/adamw/adamw.h"
#include "kernels/no_cuda.h"

namespace lmms::kernels {

void sum_of_squares_cuda(const GradientSpan*, const Tile*, int64_t, double*, CUstream_st*) {
  no_cuda();
}
void adamw_decide_cuda(AdamwControl*, const double*, int64_t, CUstream_st*) {
  no_cuda();
}
void adamw_update_cuda(const AdamwControl*, const AdamwRange*, const Tile*, int64_t, GradientSlots,
                       CUstream_st*) {
  no_cuda();
}

}  // namespace lmms::kernels
