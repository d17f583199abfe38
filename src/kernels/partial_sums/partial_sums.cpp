#include "kernels/partial_sums/partial_sums.h"

#include <ATen/ops/empty.h>

#include "kernels/device.h"
#include "kernels/partial_sums/partial_sums_cuda.h"

namespace lmms::kernels {

at::Tensor gradient_of_partials(const at::Tensor& partials, const at::Tensor& slot,
                                at::ScalarType dtype) {
  const bool add = slot.defined();
  const at::Tensor out =
      add ? slot : at::empty({partials.size(1)}, partials.options().dtype(dtype));
  if (out.is_cuda()) {
    partial_sums_cuda({partials.const_data_ptr<float>(), partials.size(0), partials.size(1),
                       out.mutable_data_ptr(), out.scalar_type() == at::kBFloat16, add},
                      current_stream());
    check_last_launch("sum of partial rows");
  }
  return add ? at::Tensor() : out;
}

}  // namespace lmms::kernels
