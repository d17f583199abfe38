#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include <cstring>
#include <string>
#include <type_traits>
#include <vector>

#include "kernels/device.h"
#include "kernels/gpu_testing.h"
#include "kernels/op_testing.h"
#include "kernels/rows_testing.h"
#include "kernels/step_control/step_control.h"

namespace lmms::kernels {
namespace {

using testing::rows;
using testing::uploaded;
using StepControlCuda = testing::GpuTest;

TEST_F(StepControlCuda, finds_the_norm_of_many_buckets_with_the_same_bits_each_time) {
  const std::vector<int64_t> counts{1, 16384, 5000001, 300};
  std::vector<at::Tensor> gradients;
  std::vector<GradientSpan> spans;
  std::vector<double> expected;
  for (size_t i = 0; i < counts.size(); ++i) {
    const at::Tensor g = testing::random("g" + std::to_string(i), {counts[i]})
                             .to(i % 2 == 0 ? at::kFloat : at::kBFloat16);
    const Stored type = i % 2 == 0 ? Stored::f32 : Stored::bf16;
    std::vector<double> partials(static_cast<size_t>(norm_blocks(counts[i])));
    sum_of_squares_cpu(g.const_data_ptr(), type, counts[i], partials.data());
    expected.insert(expected.end(), partials.begin(), partials.end());
    gradients.push_back(g.to(at::Device(at::kCUDA, 0)));
    spans.push_back({gradients.back().const_data_ptr(), counts[i], type});
  }
  StepControl settings;
  settings.max_norm = 1.0;
  StepControl c = settings;
  step_decide_cpu(c, expected.data(), static_cast<int64_t>(expected.size()));
  const auto tiles = tiles_of(counts, kNormBlock);
  ASSERT_EQ(tiles.size(), expected.size());
  const at::Tensor table = uploaded(spans), tile_table = uploaded(tiles);
  std::vector<double> norms;
  for (int run = 0; run < 3; ++run) {
    const at::Tensor control = uploaded(std::vector<StepControl>{settings});
    const at::Tensor partials =
        at::zeros({static_cast<int64_t>(tiles.size())}, at::kDouble).to(table.device());
    sum_of_squares_cuda(rows<GradientSpan>(table), rows<Tile>(tile_table),
                        static_cast<int64_t>(tiles.size()), partials.mutable_data_ptr<double>(),
                        current_stream());
    step_decide_cuda(rows<StepControl>(control), partials.const_data_ptr<double>(),
                     partials.numel(), current_stream());
    check_last_launch("the gradient norm");
    StepControl back;
    const at::Tensor copied = control.cpu();
    std::memcpy(&back, copied.const_data_ptr(), sizeof(back));
    EXPECT_NEAR(back.norm, c.norm, 1e-12 * c.norm);
    EXPECT_EQ(back.applied, 1);
    EXPECT_EQ(back.skip, 0);
    EXPECT_EQ(back.clip, c.clip);
    norms.push_back(back.norm);
  }
  EXPECT_EQ(norms[0], norms[1]);
  EXPECT_EQ(norms[0], norms[2]);
}

}  // namespace
}  // namespace lmms::kernels
