#include "kernels/attention/attention_hopper_cuda.h"
#include "kernels/no_cuda.h"

namespace lmms::kernels {

void attention_backward_hopper(const HopperBackward&, CUstream_st*) {
  no_cuda();
}

}  // namespace lmms::kernels
