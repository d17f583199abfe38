#include <ATen/ops/zeros.h>

#include <cstring>
#include <vector>

#include "kernels/adamw/adamw.h"
#include "kernels/device.h"
#include "kernels/gpu_benching.h"
#include "kernels/on_device.h"

namespace lmms::kernels::benching {
namespace {

template <class T>
at::Tensor uploaded(const std::vector<T>& rows) {
  std::vector<uint8_t> bytes(rows.size() * sizeof(T));
  std::memcpy(bytes.data(), rows.data(), bytes.size());
  return on_device(bytes, at::kByte, at::Device(at::kCUDA, 0));
}

struct Shape {
  const char* name;
  std::vector<int64_t> buckets;  // parameters of each
};

void bench(const Shape& shape, at::ScalarType state, at::ScalarType gradient_type,
           GradientSlots slots) {
  const Stored stored = state == at::kFloat ? Stored::f32 : Stored::bf16,
               stored_gradient = gradient_type == at::kFloat ? Stored::f32 : Stored::bf16;
  std::vector<at::Tensor> memory;
  std::vector<AdamwRange> ranges;
  std::vector<GradientSpan> spans;
  int64_t parameters = 0;
  const auto flat = [&](int64_t n, at::ScalarType type) {
    return memory.emplace_back(random({n}, type)).mutable_data_ptr();
  };
  for (int64_t n : shape.buckets) {
    AdamwRange r;
    r.master = flat(n, state);
    r.first_moment = flat(n, state);
    r.second_moment = flat(n, state);
    memory.back().abs_();
    r.gradient = flat(n, gradient_type);
    if (stored == Stored::f32) r.bf16_weights = flat(n, at::kBFloat16);
    r.state = stored;
    r.gradient_type = stored_gradient;
    r.count = n;
    r.first = parameters;
    ranges.push_back(r);
    spans.push_back({r.gradient, n, stored_gradient});
    parameters += n;
  }
  StepControl c;
  step_decide(c, 1.0);
  AdamwStep s;
  s.learning_rates[0] = 1e-5;
  adamw_prepare(s, c);
  const auto tiles = tiles_of(shape.buckets, kAdamwTile),
             blocks = tiles_of(shape.buckets, kNormBlock);
  const at::Tensor control = uploaded(std::vector<StepControl>{c}),
                   step = uploaded(std::vector<AdamwStep>{s}), table = uploaded(ranges),
                   tile_table = uploaded(tiles), span_table = uploaded(spans),
                   block_table = uploaded(blocks),
                   partials = at::zeros({static_cast<int64_t>(blocks.size())},
                                        control.options().dtype(at::kDouble));
  const auto n = static_cast<double>(parameters);
  const std::string types =
      std::string(stored == Stored::f32 ? " fp32 states" : " bf16 states") +
      (stored_gradient == Stored::f32 ? ", fp32 gradient" : ", bf16 gradient");
  const bool zero = slots == GradientSlots::zeroed;
  const double bytes = (stored == Stored::f32 ? 26.0 : 12.0) +
                       (stored_gradient == Stored::f32 ? 4.0 : 2.0) * (zero ? 2 : 1);
  const Timing update = time([&] {
    adamw_update_cuda(static_cast<const StepControl*>(control.const_data_ptr()),
                      static_cast<const AdamwStep*>(step.const_data_ptr()),
                      static_cast<const AdamwRange*>(table.const_data_ptr()),
                      static_cast<const Tile*>(tile_table.const_data_ptr()),
                      static_cast<int64_t>(tiles.size()), slots, current_stream());
  });
  report_bytes(std::string("adamw ") + shape.name + types + (zero ? ", zeroed" : ""), update,
               bytes * n);
  if (zero) return;
  const Timing norm = time([&] {
    sum_of_squares_cuda(static_cast<const GradientSpan*>(span_table.const_data_ptr()),
                        static_cast<const Tile*>(block_table.const_data_ptr()),
                        static_cast<int64_t>(blocks.size()), partials.mutable_data_ptr<double>(),
                        current_stream());
  });
  report_bytes(std::string("  sums of squares") + types, norm,
               n * (stored_gradient == Stored::f32 ? 4.0 : 2.0));
  const Timing decide = time([&] {
    step_decide_cuda(static_cast<StepControl*>(control.mutable_data_ptr()),
                     partials.const_data_ptr<double>(), partials.numel(), current_stream());
  });
  const Timing prepare = time([&] {
    adamw_prepare_cuda(static_cast<AdamwStep*>(step.mutable_data_ptr()),
                       static_cast<const StepControl*>(control.const_data_ptr()), current_stream());
  });
  report_bytes("  prepare", prepare, static_cast<double>(sizeof(AdamwStep)));
  report_bytes("  decide", decide, 8.0 * static_cast<double>(partials.numel()));
}

}  // namespace

void bench_adamw() {
  // the shape of Qwen3-0.6B: a layer a bucket, and the embedding
  Shape small{"0.6B", std::vector<int64_t>(28, 15730944)};
  small.buckets.push_back(int64_t{151936} * 1024);
  bench(small, at::kFloat, at::kBFloat16, GradientSlots::left);
  bench(small, at::kFloat, at::kBFloat16, GradientSlots::zeroed);
  bench(small, at::kFloat, at::kFloat, GradientSlots::left);
  bench(small, at::kBFloat16, at::kBFloat16, GradientSlots::left);
  const Shape large{"3.6B", std::vector<int64_t>(12, 301999104)};
  bench(large, at::kFloat, at::kBFloat16, GradientSlots::left);
}

}  // namespace lmms::kernels::benching
