// Steps of denoisers on meta tensors, with and without an autoencoder in the step.
#include "models/denoiser.h"

#include <gtest/gtest.h>

#include <limits>
#include <nlohmann/json.hpp>

#include "data/latents.h"
#include "models/autoencoder_kl/autoencoder_kl.h"
#include "models/registry_testing.h"
#include "objectives/interpolant_objective.h"
#include "objectives/masked_diffusion_testing.h"
#include "optim/adamw.h"
#include "plan/plan.h"

namespace lmms::plan {
namespace {

constexpr int64_t kImages = 6, kSide = 16, kStride = 2;

nlohmann::json small_sit(bool in_latents) {
  return {{"model_type", "sit"}, {"input_size", kSide}, {"hidden_size", 128},
          {"depth", 4},          {"num_heads", 2},      {"vae_path", in_latents ? "vae" : ""}};
}

std::unique_ptr<models::Model> autoencoder() {
  const nlohmann::json config = {{"block_out_channels", {8, 16}},
                                 {"down_block_types", {"DownEncoderBlock2D", "DownEncoderBlock2D"}},
                                 {"up_block_types", {"UpDecoderBlock2D", "UpDecoderBlock2D"}},
                                 {"norm_num_groups", 4}};
  return std::make_unique<models::autoencoder_kl::AutoencoderKl>(config, "test");
}

PlannedRun run_of(const nlohmann::json& config, bool encodes) {
  PlannedRun run;
  run.make_model = [config] { return models::model_entry(config, "test").make(config, "test"); };
  run.network_options = [](int64_t) {
    step::NetworkOptions options;
    options.name = objectives::kMainNetwork;
    options.memory.dtype = at::kBFloat16;
    options.make_optimizer = optim::make_adamw;
    return options;
  };
  run.objective = objectives::interpolant({.model = *run.make_model()});
  if (!encodes) return run;
  run.open_references = [](c10::Device device) {
    std::vector<step::ReferenceNetwork> out;
    out.push_back({objectives::kAutoencoder, autoencoder(), {}});
    out[0].memory = nn::allocate(out[0].model->params(), {device});
    return out;
  };
  return run;
}

data::StepBatch batch_of(const PlannedRun& run, const char* kind) {
  const models::LatentShape shape = run.make_model()->denoiser()->shape();
  const bool pixels = std::string(kind) == data::kPixels;
  const PatchGrid grid = pixels ? PatchGrid{1, 1, 1} : PatchGrid{1, shape.rows(), shape.columns()};
  const int64_t values = pixels ? 3 * kSide * kSide * kStride * kStride : shape.values();
  std::vector<data::Sample> samples;
  for (int64_t i = 0; i < kImages; ++i) {
    samples.push_back(data::latent_sample(kind, grid, shape.patches(), i));
    samples.back().extras[data::kMean].resize(static_cast<size_t>(values));
    samples.back().extras[data::kVersions] = {1};
  }
  return objectives::drawn_step(*run.objective, std::move(samples), /*packed=*/true);
}

class DenoiserRehearsal : public testing::TestWithParam<const char*> {};

TEST_P(DenoiserRehearsal, finds_that_less_kept_takes_less_memory_and_more_time) {
  const bool encodes = GetParam() == std::string(data::kPixels);
  const PlannedRun run = run_of(small_sit(encodes), encodes);
  Rehearsal rehearsal(run, 1, card_named("h200"));
  const data::StepBatch batch = batch_of(run, GetParam());
  const std::vector<int64_t> lengths(kImages, 64);
  const double flops = run.make_model()->train_flops({.lengths = lengths});
  int64_t bytes = std::numeric_limits<int64_t>::max();
  double seconds = 0;
  for (const nn::Keep keep : nn::kKeeps) {
    const StepCost cost = rehearsal.step(batch, {.keep = keep});
    EXPECT_LE(cost.peak_bytes, bytes);
    EXPECT_GT(cost.seconds.total(), 0.999 * seconds);
    EXPECT_DOUBLE_EQ(cost.flops, flops);
    bytes = cost.peak_bytes;
    seconds = cost.seconds.total();
  }
}

INSTANTIATE_TEST_SUITE_P(Data, DenoiserRehearsal, testing::Values(data::kLatents, data::kPixels));

}  // namespace
}  // namespace lmms::plan
