#include "nn/flops.h"

#include "nn/param.h"

namespace lmms::nn {

void ChainFlops::product(const Param& weight, double rows) {
  flops += 2 * rows * static_cast<double>(weight.elements()) *
           (1 + (flows ? 1 : 0) + (weight.trainable ? 1 : 0));
  flows = flows || weight.trainable;
}

void ChainFlops::attention(double width, double pairs) {
  flops += 4 * width * pairs * (flows ? 3 : 1);
}

}  // namespace lmms::nn
