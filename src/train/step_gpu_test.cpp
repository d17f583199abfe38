#include <ATen/TensorOperators.h>
#include <c10/core/GradMode.h>
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

/// Whole models, not ops alone: what the kernels assume of tables and positions is made elsewhere.
TEST_F(StepOnGpu, fused_kernels_give_the_hidden_states_of_plain_ones) {
  using kernels::Form;
  const nn::KernelSet plain{Form::plain, Form::plain, Form::plain, Form::plain};
  for (const bool sees : {false, true}) {
    SCOPED_TRACE(sees ? "seeing" : "text");
    nlohmann::json config = sees ? small_seeing_model() : small_text_model();
    config["initializer_range"] = 0.1;  // heads that look at some tokens more than at others
    const data::StepBatch batch = small_step({1000, 536}, sees ? 8 : 0);
    const auto hidden = [&](at::ScalarType dtype, const nn::KernelSet& kernels) {
      const c10::NoGradGuard no_grad;
      nn::MemoryOptions memory;
      memory.device = device_;
      memory.dtype = dtype;
      const Network network = small_network(config, memory);
      nn::RunContext context;
      context.kernels = kernels;
      const StepWork work = step_work(batch, *network.model, device_, {});
      return network.model->language_model()
          ->hidden(work.micro_steps.front(), context)
          .to(at::kCPU, at::kFloat);
    };
    const at::Tensor exact = hidden(at::kFloat, plain);
    const auto error_of = [&](const nn::KernelSet& kernels) {
      return (hidden(at::kBFloat16, kernels) - exact).abs().mean().item<double>();
    };
    const double least = error_of(plain);
    EXPECT_GT(least, 0);
    EXPECT_LE(error_of({}), 2 * least);
  }
}

}  // namespace
}  // namespace lmms::train
