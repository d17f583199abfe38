#pragma once
/// What leaves the top of a model.
#include <ATen/core/Tensor.h>

namespace lmms::nn {

struct Hidden {
  at::Tensor hidden;  ///< [T, H], after the final norm
};

}  // namespace lmms::nn
