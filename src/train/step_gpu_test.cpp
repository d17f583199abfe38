#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>

#include "kernels/gpu_testing.h"
#include "train/profile/profiler.h"
#include "train/small_steps_testing.h"
#include "train/step_work.h"

namespace lmms::train {
namespace {

class StepOnGpu : public kernels::testing::GpuTest {
 protected:
  c10::Device device_ = kernels::best_device(0);
};

/// The profiler counts the calls in which the host waits for the device: there are none between the
/// upload of a batch and the last launch of the optimiser, at any level of recompute.
TEST_F(StepOnGpu, makes_the_host_wait_for_nothing) {
  const std::filesystem::path folder =
      std::filesystem::temp_directory_path() / ("step_gpu_test_" + std::to_string(getpid()));
  std::filesystem::create_directories(folder);
  for (const bool sees : {false, true}) {
    const nlohmann::json config = sees ? small_seeing_model() : small_text_model();
    for (const nn::Keep keep : nn::kKeeps) {
      nn::MemoryOptions memory;
      memory.device = device_;
      memory.dtype = memory.gradient_dtype = at::kBFloat16;
      Network network = small_network(config, memory);
      nn::RunContext context;
      context.keep = keep;
      const data::StepBatch batch = small_step({1000, 536}, sees ? 8 : 0);
      const double learning_rate = 1e-3;
      std::vector<StepWork> works;  // their memory lives until the device is through
      const auto step = [&] {
        works.push_back(step_work(batch, *network.model, device_, {}));
        train_step(network, *objectives::next_token(), *plain_runner(), works.back().micro_steps,
                   context, {&learning_rate, 1});
      };
      for (int i = 0; i < 2; ++i) step();  // builds graphs, fills caches
      Trace trace(device_);
      for (int i = 0; i < 3; ++i) step();
      const Breakdown breakdown = trace.end(3, folder / "trace.json");
      EXPECT_EQ(breakdown.host_waits, (std::map<std::string, int64_t>{}));
      EXPECT_FALSE(breakdown.parts.empty());
      EXPECT_EQ(network.optimizer->control().applied, 5);
    }
  }
  std::filesystem::remove_all(folder);
}

}  // namespace
}  // namespace lmms::train
