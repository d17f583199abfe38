#include "kernels/adamw/adamw.h"

#include <ATen/Parallel.h>
#include <c10/util/BFloat16.h>

#include <algorithm>

namespace lmms::kernels {
namespace {

constexpr int64_t kGrain = 32768;

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

template <class T>
void update(const AdamwControl& c, const AdamwRange& r, const T* gradient) {
  const double learning_rate = c.learning_rates[r.group];
  const float step_size = c.step_sizes[r.group];
  const float decay = static_cast<float>(1.0 - learning_rate * static_cast<double>(r.weight_decay));
  const auto beta1 = static_cast<float>(c.beta1), beta2 = static_cast<float>(c.beta2);
  const auto epsilon = static_cast<float>(c.epsilon);
  auto* bf16 = static_cast<c10::BFloat16*>(r.bf16_weights);
  at::parallel_for(0, r.count, kGrain, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      adamw_element(r.master[i], r.first_moment[i], r.second_moment[i],
                    static_cast<float>(gradient[i]) * c.clip, decay, beta1, beta2, step_size,
                    c.inverse_correction, epsilon);
    }
    if (bf16 != nullptr) {
      for (int64_t i = begin; i < end; ++i) bf16[i] = r.master[i];
    }
  });
}

}  // namespace

void sum_of_squares_cpu(const void* gradient, GradientType type, int64_t count, double* partials) {
  if (type == GradientType::bf16) {
    squares(static_cast<const c10::BFloat16*>(gradient), count, partials);
  } else {
    squares(static_cast<const float*>(gradient), count, partials);
  }
}

void adamw_decide_cpu(AdamwControl& control, const double* partials, int64_t count) {
  double sum = 0;
  for (int64_t i = 0; i < count; ++i) sum += partials[i];
  adamw_decide(control, sum);
}

void adamw_update_cpu(const AdamwControl& control, const AdamwRange& range) {
  if (control.skip) return;
  if (range.gradient_type == GradientType::bf16) {
    update(control, range, static_cast<const c10::BFloat16*>(range.gradient));
  } else {
    update(control, range, static_cast<const float*>(range.gradient));
  }
}

}  // namespace lmms::kernels
