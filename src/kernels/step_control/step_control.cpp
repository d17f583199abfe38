#include "kernels/step_control/step_control.h"

#include <ATen/Parallel.h>
#include <c10/util/BFloat16.h>
#include <c10/util/Exception.h>

#include <algorithm>

namespace lmms::kernels {
namespace {

template <class T>
void squares(const T* gradient, int64_t count, double* partials) {
  at::parallel_for(0, norm_blocks(count), 4, [&](int64_t first, int64_t last) {
    for (int64_t block = first; block < last; ++block) {
      const int64_t begin = block * kNormBlock, end = std::min(count, begin + kNormBlock);
      double lanes[8] = {};  // eight running sums let the compiler vectorise without reordering
      int64_t i = begin;
      for (; i + 8 <= end; i += 8) {
        for (int64_t k = 0; k < 8; ++k) {
          const double g = static_cast<double>(static_cast<float>(gradient[i + k]));
          lanes[k] += g * g;
        }
      }
      for (int64_t k = 0; i < end; ++i, ++k) {
        const double g = static_cast<double>(static_cast<float>(gradient[i]));
        lanes[k] += g * g;
      }
      partials[block] = ((lanes[0] + lanes[1]) + (lanes[2] + lanes[3])) +
                        ((lanes[4] + lanes[5]) + (lanes[6] + lanes[7]));
    }
  });
}

}  // namespace

FaultText text_of(StepFault fault) {
  TORCH_INTERNAL_ASSERT(fault == StepFault::scaled_loss, "fault ", static_cast<int>(fault));
  return {"a loss term was scaled after it was computed: factors belong into its weights",
          "multiply the weights that linear_loss gets, not its result"};
}

void sum_of_squares_cpu(const void* gradient, Stored type, int64_t count, double* partials) {
  if (type == Stored::bf16) {
    squares(static_cast<const c10::BFloat16*>(gradient), count, partials);
  } else {
    squares(static_cast<const float*>(gradient), count, partials);
  }
}

void step_decide_cpu(StepControl& control, const double* partials, int64_t count) {
  double sum = 0;
  for (int64_t i = 0; i < count; ++i) sum += partials[i];
  step_decide(control, sum);
}

}  // namespace lmms::kernels
