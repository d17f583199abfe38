#include "kernels/adamw/adamw.h"

#include <ATen/Parallel.h>
#include <c10/util/BFloat16.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <type_traits>

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

// How a number of type T is read into fp32 and written back with random bits (which fp32 leaves
// unused).
float load(float x) {
  return x;
}
float load(c10::BFloat16 x) {
  return static_cast<float>(x);
}
void store(float& to, float x, uint32_t) {
  to = x;
}
void store(c10::BFloat16& to, float x, uint32_t half) {
  to.x = round_at_random(std::bit_cast<uint32_t>(x), half);
}

// Elements [begin, end) of a range.
template <class S, class G>
[[gnu::always_inline]] inline void update(const AdamwControl& c, const AdamwRange& r, int64_t begin,
                                          int64_t end) {
  const AdamwFactors factors = c.factors;
  const float step_size = c.step_sizes[r.group], decay = adamw_decay(c, r);
  auto* p = static_cast<S*>(r.master);
  auto *first = static_cast<S*>(r.first_moment), *second = static_cast<S*>(r.second_moment);
  const auto* gradient = static_cast<const G*>(r.gradient);
  auto* bf16 = static_cast<c10::BFloat16*>(r.bf16_weights);
  RoundingBits bits{};
  for (int64_t i = begin; i < end; ++i) {
    const int64_t element = r.first + i;
    if (std::is_same_v<S, c10::BFloat16> && (element % 2 == 0 || i == begin)) {
      bits = rounding_bits(static_cast<uint64_t>(element / 2), static_cast<uint64_t>(c.applied),
                           c.rounding_key[0], c.rounding_key[1]);
    }
    float w = load(p[i]), m = load(first[i]), v = load(second[i]);
    adamw_element(w, m, v, load(gradient[i]), factors, decay, step_size);
    store(p[i], w, bits.half(0, element));
    store(first[i], m, bits.half(1, element));
    store(second[i], v, bits.half(2, element));
  }
  if (bf16 != nullptr) {
    for (int64_t i = begin; i < end; ++i) bf16[i] = load(p[i]);
  }
}

// The same bits twice: processors without an instruction for a * b + c call a function for it.
using Update = void (*)(const AdamwControl&, const AdamwRange&, int64_t begin, int64_t end);

template <class S, class G>
void update_portable(const AdamwControl& c, const AdamwRange& r, int64_t begin, int64_t end) {
  update<S, G>(c, r, begin, end);
}

#ifdef __x86_64__
template <class S, class G>
__attribute__((target("avx2,fma"))) void update_fma(const AdamwControl& c, const AdamwRange& r,
                                                    int64_t begin, int64_t end) {
  update<S, G>(c, r, begin, end);
}

template <class S, class G>
Update best_update() {
  static const bool has_fma = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  return has_fma ? update_fma<S, G> : update_portable<S, G>;
}
#else
template <class S, class G>
Update best_update() {
  return update_portable<S, G>;
}
#endif

size_t bytes_of(Stored type) {
  return type == Stored::bf16 ? sizeof(c10::BFloat16) : sizeof(float);
}

}  // namespace

void sum_of_squares_cpu(const void* gradient, Stored type, int64_t count, double* partials) {
  if (type == Stored::bf16) {
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

void adamw_update_cpu(const AdamwControl& control, const AdamwRange& range, GradientSlots slots) {
  const bool wide = range.state == Stored::f32, wide_gradient = range.gradient_type == Stored::f32;
  if (!control.skip) {
    using c10::BFloat16;
    const Update update =
        wide ? (wide_gradient ? best_update<float, float>() : best_update<float, BFloat16>())
             : (wide_gradient ? best_update<BFloat16, float>() : best_update<BFloat16, BFloat16>());
    at::parallel_for(0, range.count, kGrain,
                     [&](int64_t begin, int64_t end) { update(control, range, begin, end); });
  }
  if (slots == GradientSlots::zeroed && range.count > 0) {
    std::memset(range.gradient, 0,
                static_cast<size_t>(range.count) * bytes_of(range.gradient_type));
  }
}

std::vector<Tile> tiles_of(std::span<const int64_t> counts, int64_t tile) {
  std::vector<Tile> out;
  for (size_t r = 0; r < counts.size(); ++r) {
    for (int64_t i = 0; i * tile < counts[r]; ++i)
      out.push_back({static_cast<int32_t>(r), static_cast<int32_t>(i)});
  }
  return out;
}

}  // namespace lmms::kernels
