#include <ATen/TensorOperators.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>

#include "data/collate.h"
#include "data/latents.h"
#include "kernels/gpu_testing.h"
#include "objectives/interpolant_objective.h"
#include "step/small_steps_testing.h"
#include "step/step_work.h"
#include "step/trace.h"

namespace lmms::step {
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
      TrainState state = small_state(config, memory);
      const auto objective = objectives::next_token();
      nn::RunContext context;
      context.keep = keep;
      const data::StepBatch batch = small_step({1000, 536}, sees ? 8 : 0);
      const std::vector<std::vector<double>> rates{{1e-3}};
      std::vector<StepWork> works;  // their memory lives until the device is through
      const auto step = [&] {
        works.push_back(step_work(batch, *state.main().model, *objective, device_));
        train_step(state, *objective, *plain_runner(), works.back().micro_steps, context, rates);
      };
      for (int i = 0; i < 2; ++i) step();  // builds graphs, fills caches
      Trace trace(device_);
      for (int i = 0; i < 3; ++i) step();
      const Breakdown breakdown = trace.end(3, folder / "trace.json");
      EXPECT_EQ(breakdown.host_waits, (std::map<std::string, int64_t>{}));
      EXPECT_FALSE(breakdown.parts.empty());
      EXPECT_EQ(state.main().decision->control().applied, 5);
    }
  }
  std::filesystem::remove_all(folder);
}

/// 8 x 8 latents of 16 tokens.
nlohmann::json small_denoiser() {
  return {{"model_type", "sit"}, {"hidden_size", 144}, {"depth", 3},       {"num_heads", 2},
          {"input_size", 8},     {"patch_size", 2},    {"num_classes", 5}, {"vae_path", ""}};
}

/// A step of so many samples of it; a pad behind them unless they are a multiple of 16.
data::StepBatch small_images(const objectives::Objective& objective, int64_t samples) {
  constexpr int64_t kTokens = 16, kWidth = 16;
  data::RowSamples row;
  data::StepBatch step;
  for (int64_t i = 0; i < samples; ++i) {
    data::Sample sample = data::latent_sample(data::kLatents, {1, 4, 4}, kTokens, i % 5);
    std::vector<float>& values = sample.media[data::kLatents].values;
    values.resize(kTokens * kWidth);
    for (size_t k = 0; k < values.size(); ++k)
      values[k] = static_cast<float>((k + 31 * static_cast<size_t>(i)) * 7919 % 2001) / 1000 - 1;
    objective.drawing()->draw(sample, data::DrawKey(3, i));
    for (const auto& [name, count] : sample.counts) step.counts[name] += count;
    row.push_back(std::make_shared<const data::Sample>(std::move(sample)));
  }
  step.micro_steps.push_back(data::collate(std::vector<data::RowSamples>{row}, 256, 0));
  step.step = 1;
  step.tokens = step.micro_steps[0].valid_tokens;
  step.samples = samples;
  step.rows = 1;
  return step;
}

/// The same promises of a denoiser: its first gates are 0, so some steps are made before.
TEST_F(StepOnGpu, trains_a_denoiser_without_a_wait_and_as_plain_kernels_do) {
  using kernels::Form;
  const std::filesystem::path folder =
      std::filesystem::temp_directory_path() / ("step_gpu_test_sit_" + std::to_string(getpid()));
  std::filesystem::create_directories(folder);
  const nn::KernelSet plain{Form::plain, Form::plain, Form::plain, Form::plain};
  for (const int64_t samples : {16, 21}) {
    const auto losses = [&](at::ScalarType dtype, const nn::KernelSet& kernels, nn::Keep keep,
                            bool traced) {
      nn::MemoryOptions memory;
      memory.device = device_;
      memory.dtype = memory.gradient_dtype = dtype;
      TrainState state = small_state(small_denoiser(), memory);
      const auto objective = objectives::interpolant({.model = *state.main().model});
      const data::StepBatch batch = small_images(*objective, samples);
      nn::RunContext context;
      context.keep = keep;
      context.kernels = kernels;
      const std::vector<std::vector<double>> rates{{3e-3}};
      std::vector<StepWork> works;
      std::vector<double> out;
      const auto step = [&] {
        works.push_back(step_work(batch, *state.main().model, *objective, device_));
        return train_step(state, *objective, *plain_runner(), works.back().micro_steps, context,
                          rates)
            .loss;
      };
      for (int i = 0; i < 20; ++i) out.push_back(step().item<double>());
      if (!traced) return out;
      Trace trace(device_);
      for (int i = 0; i < 3; ++i) step();
      EXPECT_EQ(trace.end(3, folder / "trace.json").host_waits, (std::map<std::string, int64_t>{}));
      return out;
    };
    const std::vector<double> exact = losses(at::kFloat, plain, nn::Keep::everything, false);
    EXPECT_LT(exact.back(), exact.front()) << samples;
    for (const nn::Keep keep : nn::kKeeps) {
      const std::vector<double> ours = losses(at::kBFloat16, {}, keep, true);
      for (size_t i = 0; i < exact.size(); ++i)
        EXPECT_NEAR(ours[i], exact[i], 0.01 * exact[i]) << samples << ", step " << i;
    }
  }
  std::filesystem::remove_all(folder);
}

constexpr double kBfloat16Unit = 1.0 / 256;

struct SmallCase {
  const char* name;
  nlohmann::json model;
  data::StepBatch step;
};

/// Whole models, not ops alone: what the kernels assume of tables and positions is made elsewhere.
TEST_F(StepOnGpu, fused_kernels_give_the_loss_and_gradients_of_plain_ones) {
  using kernels::Form;
  const nn::KernelSet plain{Form::plain, Form::plain, Form::plain, Form::plain};
  for (SmallCase& c : std::vector<SmallCase>{
           {"text", small_text_model(), small_step({1000, 536})},
           {"windows", small_seeing_model(), small_step({1000, 536}, 8)},
           {"deepstack", small_deepstack_model(), small_step({700, 324}, 8, 16)}}) {
    // heads that look at some tokens more than at others
    (c.model.contains("text_config") ? c.model["text_config"] : c.model)["initializer_range"] = 0.1;
    // the loss, and the gradients of each bucket
    const auto run = [&](at::ScalarType dtype, const nn::KernelSet& kernels) {
      nn::MemoryOptions memory;
      memory.device = device_;
      memory.dtype = dtype;
      TrainState state = small_state(c.model, memory);
      const auto objective = objectives::next_token();
      nn::RunContext context;
      context.kernels = kernels;
      const StepWork work = step_work(c.step, *state.main().model, *objective, device_);
      objectives::StepValues values;
      plain_runner()->run(state, objective->phases().front(), work.micro_steps, context, values);
      std::vector<at::Tensor> out{values.loss.to(at::kCPU, at::kFloat)};
      for (const parallel::Bucket& bucket : state.main().memory.buckets)
        out.push_back(bucket.whole().gradients.to(at::kCPU, at::kFloat));
      return out;
    };
    const auto exact = run(at::kFloat, plain), by_plain = run(at::kBFloat16, plain),
               by_fused = run(at::kBFloat16, {});
    for (size_t i = 0; i < exact.size(); ++i) {
      const auto error = [&](const std::vector<at::Tensor>& of) {
        return (of[i] - exact[i]).abs().mean().item<double>();
      };
      EXPECT_GT(exact[i].abs().mean().item<double>(), 0) << c.name << ", " << i;
      const double most = i > 0 ? 2 * error(by_plain) : kBfloat16Unit * exact[0].item<double>();
      EXPECT_LE(error(by_fused), most) << c.name << ", " << i;
    }
  }
}

}  // namespace
}  // namespace lmms::step
