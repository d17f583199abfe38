#include "kernels/adamw/adamw.h"
#include "kernels/no_cuda.h"

namespace lmms::kernels {

void adamw_prepare_cuda(AdamwStep*, const StepControl*, CUstream_st*) {
  no_cuda();
}
void adamw_update_cuda(const StepControl*, const AdamwStep*, const AdamwRange*, const Tile*,
                       int64_t, GradientSlots, CUstream_st*) {
  no_cuda();
}

}  // namespace lmms::kernels
