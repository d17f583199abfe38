#include "kernels/qk_norm_rope/qk_norm_rope.h"

#include "kernels/rms_norm/rms_norm.h"
#include "kernels/rope/rope.h"

namespace lmms::kernels {

at::Tensor qk_norm_rope(const at::Tensor& x, const at::Tensor& w, double eps, const at::Tensor& cos,
                        const at::Tensor& sin) {
  return rope(w.defined() ? rms_norm(x, w, eps) : x, cos, sin);
}

}  // namespace lmms::kernels
