#include "step/breakdown.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace lmms::step {
namespace {

using Kind = ProfileEvent::Kind;

TEST(Breakdowns, add_up_kernels_by_part_and_the_gaps_between_them) {
  const std::vector<ProfileEvent> events{
      {"nvjet_hsh_128x256", Kind::kernel, 1'000'000, 3'000'000},
      {"void lmms::kernels::(anonymous namespace)::forward<8>(lmms::kernels::NormForward)",
       Kind::kernel, 3'500'000, 4'000'000},
      {"sm90_xmma_gemm_bf16", Kind::kernel, 3'800'000, 5'000'000},  // beside the norm
      {"cudnn_generated_fort_native_sdpa_sm90", Kind::kernel, 6'000'000, 7'000'000},
      {"cudaLaunchKernel", Kind::host, 0, 100},
      {"cudaEventSynchronize", Kind::host, 200, 300},
      {"cudaEventSynchronize", Kind::host, 400, 500},
      {"aten::mm", Kind::other, 0, 9'000'000}};
  const Breakdown b = break_down(events, 2);
  EXPECT_DOUBLE_EQ(b.span_ms, 6.0);
  EXPECT_DOUBLE_EQ(b.idle_ms, 1.5);
  EXPECT_DOUBLE_EQ(b.idle_share(), 0.25);
  ASSERT_EQ(b.parts.size(), 3u);
  EXPECT_EQ(b.parts[0].name, "products");
  EXPECT_EQ(b.parts[0].kernels, 2);
  EXPECT_DOUBLE_EQ(b.parts[0].milliseconds, 3.2);
  EXPECT_EQ(b.parts[1].name, "attention");
  EXPECT_EQ(b.host_waits, (std::map<std::string, int64_t>{{"cudaEventSynchronize", 2}}));
  EXPECT_EQ(breakdown_json(b)["host_waits"]["cudaEventSynchronize"], 2);
  EXPECT_NE(breakdown_text(b).find("3.0 ms a step on the device, mean of 2"), std::string::npos);
}

TEST(Breakdowns, know_our_kernels_by_their_names) {
  const std::string ours = "void lmms::kernels::(anonymous namespace)::";
  EXPECT_EQ(part_of_kernel(ours + "attention_backward<128>(Maps, Backward)"), "attention");
  EXPECT_EQ(part_of_kernel(ours + "short_attention_backward<80>(ShortBackward)"), "attention");
  EXPECT_EQ(part_of_kernel(ours + "backward<__nv_bfloat16, 2, false>(NormBackward)"),
            "norms and rotation");
  EXPECT_EQ(part_of_kernel(ours + "update(StepControl const*)"), "optimiser");
  EXPECT_EQ(part_of_kernel(ours + "prepare(AdamwStep*)"), "optimiser");
  EXPECT_EQ(part_of_kernel("Memcpy HtoD (Pinned -> Device)"), "copies between host and device");
}

TEST(Breakdowns, of_no_kernels_say_so) {
  const Breakdown b = break_down({}, 3);
  EXPECT_EQ(b.idle_share(), 0);
  EXPECT_EQ(breakdown_text(b), "no kernel of a GPU ran");
}

}  // namespace
}  // namespace lmms::step
