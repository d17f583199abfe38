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
[[gnu::always_inline]] inline void update(const StepControl& c, const AdamwStep& s,
                                          const AdamwRange& r, int64_t begin, int64_t end) {
  const AdamwFactors factors = s.factors;
  const float step_size = s.step_sizes[r.group], decay = adamw_decay(s, r);
  auto* p = static_cast<S*>(r.master);
  auto *first = static_cast<S*>(r.first_moment), *second = static_cast<S*>(r.second_moment);
  const auto* gradient = static_cast<const G*>(r.gradient);
  auto* bf16 = static_cast<c10::BFloat16*>(r.bf16_weights);
  RoundingBits bits{};
  for (int64_t i = begin; i < end; ++i) {
    const int64_t element = r.first + i;
    if (std::is_same_v<S, c10::BFloat16> && (element % 2 == 0 || i == begin)) {
      bits = rounding_bits(static_cast<uint64_t>(element / 2), static_cast<uint64_t>(c.applied),
                           s.rounding_key[0], s.rounding_key[1]);
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
using Update = void (*)(const StepControl&, const AdamwStep&, const AdamwRange&, int64_t begin,
                        int64_t end);

template <class S, class G>
void update_portable(const StepControl& c, const AdamwStep& s, const AdamwRange& r, int64_t begin,
                     int64_t end) {
  update<S, G>(c, s, r, begin, end);
}

#ifdef __x86_64__
template <class S, class G>
__attribute__((target("avx2,fma"))) void update_fma(const StepControl& c, const AdamwStep& s,
                                                    const AdamwRange& r, int64_t begin,
                                                    int64_t end) {
  update<S, G>(c, s, r, begin, end);
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

void adamw_prepare_cpu(AdamwStep& step, const StepControl& control) {
  adamw_prepare(step, control);
}

void adamw_update_cpu(const StepControl& control, const AdamwStep& step, const AdamwRange& range,
                      GradientSlots slots) {
  const bool wide = range.state == Stored::f32, wide_gradient = range.gradient_type == Stored::f32;
  if (!control.skip) {
    using c10::BFloat16;
    const Update update =
        wide ? (wide_gradient ? best_update<float, float>() : best_update<float, BFloat16>())
             : (wide_gradient ? best_update<BFloat16, float>() : best_update<BFloat16, BFloat16>());
    at::parallel_for(0, range.count, kGrain,
                     [&](int64_t begin, int64_t end) { update(control, step, range, begin, end); });
  }
  if (slots == GradientSlots::zeroed && range.count > 0) {
    std::memset(range.gradient, 0,
                static_cast<size_t>(range.count) * bytes_of(range.gradient_type));
  }
}

}  // namespace lmms::kernels
