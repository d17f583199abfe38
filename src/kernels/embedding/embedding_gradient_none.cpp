#include "kernels/embedding/embedding_gradient.h"
#include "kernels/no_cuda.h"

namespace lmms::kernels {

void embedding_gradient_cuda(const EmbeddingGradientArgs&, CUstream_st*) {
  no_cuda();
}

}  // namespace lmms::kernels
