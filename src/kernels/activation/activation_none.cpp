#include "kernels/activation/activation_cuda.h"
#include "kernels/no_cuda.h"

namespace lmms::kernels {

void activation_cuda(const ActivationArgs&, CUstream_st*) {
  no_cuda();
}

}  // namespace lmms::kernels
