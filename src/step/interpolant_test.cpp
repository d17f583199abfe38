// A step of a denoiser: packed and split as one likes, what it costs, and images that are encoded
// in the step or beforehand.
#include <ATen/TensorOperators.h>
#include <ATen/ops/from_blob.h>
#include <gtest/gtest.h>

#include <cmath>

#include "data/collate.h"
#include "data/latents.h"
#include "models/autoencoder_kl/autoencoder_kl.h"
#include "models/denoiser.h"
#include "objectives/interpolant_objective.h"
#include "objectives/masked_diffusion_testing.h"
#include "step/small_steps_testing.h"
#include "step/step_work.h"

namespace lmms::step {
namespace {

constexpr int64_t kSide = 4, kPatch = 2, kImages = 5;

nlohmann::json tiny(int64_t channels, const nlohmann::json& more = nlohmann::json::object()) {
  nlohmann::json config = {{"model_type", "sit"},     {"input_size", kSide}, {"patch_size", kPatch},
                           {"in_channels", channels}, {"hidden_size", 16},   {"depth", 2},
                           {"num_heads", 2},          {"num_classes", 3},    {"vae_path", nullptr}};
  config.update(more);
  return config;
}

std::vector<float> numbers(int64_t count, double phase) {
  std::vector<float> out(static_cast<size_t>(count));
  for (size_t i = 0; i < out.size(); ++i)
    out[i] = static_cast<float>(std::sin(1.7 * static_cast<double>(i) + phase));
  return out;
}

// Latents of one version, without a Gaussian.
std::vector<data::Sample> latents(int64_t channels) {
  std::vector<data::Sample> out;
  constexpr int64_t kPatches = (kSide / kPatch) * (kSide / kPatch);
  for (int64_t i = 0; i < kImages; ++i) {
    data::Sample& sample = out.emplace_back(
        data::latent_sample(data::kLatents, {1, kSide / kPatch, kSide / kPatch}, kPatches, i % 3));
    sample.extras[data::kMean] = numbers(channels * kSide * kSide, static_cast<double>(i));
    sample.extras[data::kVersions] = {1};
  }
  return out;
}

// What starts at 0 would hide the rest.
void stir(const TrainState& state) {
  for (const nn::Param& p : state.main().model->params().all()) {
    if (p.init.law != nn::Init::Law::zeros) continue;
    const std::vector<float> values = numbers(p.leaf().numel(), 0.3);
    p.leaf().detach().copy_(
        0.2 * at::from_blob(const_cast<float*>(values.data()), p.leaf().sizes(), at::kFloat));
  }
}

struct Result {
  double loss = 0;
  std::vector<at::Tensor> gradients;
};

Result run(TrainState& state, const objectives::Objective& objective, const data::StepBatch& batch,
           nn::Keep keep = nn::Keep::products) {
  const StepWork work = step_work(batch, *state.main().model, objective, at::kCPU);
  const std::vector<std::vector<double>> rates{{0.0}};
  Result out;
  out.loss = train_step(state, objective, *plain_runner(), work.micro_steps, {.keep = keep}, rates)
                 .loss.item<double>();
  for (const parallel::Bucket& bucket : state.main().memory.buckets) {
    if (bucket.layout().key.trainable) out.gradients.push_back(bucket.whole().gradients.clone());
  }
  return out;
}

void expect_close(const Result& ours, const Result& theirs) {
  ASSERT_GT(theirs.loss, 0);
  EXPECT_LE(std::abs(ours.loss - theirs.loss), 2e-6 * theirs.loss);
  for (size_t b = 0; b < theirs.gradients.size(); ++b) {
    const double size = theirs.gradients[b].norm().item<double>();
    EXPECT_GT(size, 0);
    EXPECT_LE((ours.gradients[b] - theirs.gradients[b]).norm().item<double>(), 1e-5 * size);
  }
}

class InterpolantStep : public testing::TestWithParam<nlohmann::json> {};

TEST_P(InterpolantStep, is_the_same_packed_unpacked_and_accumulated) {
  TrainState state = small_state(tiny(4, GetParam()), {});
  stir(state);
  const auto made = objectives::interpolant({.model = *state.main().model});
  const Result whole = run(state, *made, objectives::drawn_step(*made, latents(4), true));
  for (const size_t rows : {1u, 2u, 5u})
    expect_close(run(state, *made, objectives::drawn_step(*made, latents(4), false, rows)), whole);
  for (const nn::Keep keep : nn::kKeeps) {
    const Result again = run(state, *made, objectives::drawn_step(*made, latents(4), true), keep);
    EXPECT_EQ(again.loss, whole.loss);
    for (size_t b = 0; b < whole.gradients.size(); ++b)
      EXPECT_TRUE(again.gradients[b].equal(whole.gradients[b]));
  }
}

INSTANTIATE_TEST_SUITE_P(
    Transports, InterpolantStep,
    testing::Values(
        nlohmann::json::object(), nlohmann::json{{"path_type", "GVP"}, {"prediction", "score"}},
        nlohmann::json{{"path_type", "VP"}, {"prediction", "noise"}, {"loss_weight", "velocity"}}));

TEST(InterpolantStep, counts_each_image_once) {
  TrainState state = small_state(tiny(4), {});
  const models::Model& model = *state.main().model;
  const auto made = objectives::interpolant({.model = model});
  const data::StepBatch batch = objectives::drawn_step(*made, latents(4), true);
  const std::vector<int64_t> lengths(kImages, model.denoiser()->shape().patches());
  EXPECT_DOUBLE_EQ(step_work(batch, model, *made, at::kCPU).flops,
                   model.train_flops({.lengths = lengths}));
  EXPECT_EQ(batch.counts.at(data::kImages), kImages);
}

TEST(InterpolantStep, lowers_the_loss) {
  TrainState state = small_state(tiny(1), {});
  const auto made = objectives::interpolant({.model = *state.main().model});
  const StepWork work = step_work(objectives::drawn_step(*made, latents(1), true),
                                  *state.main().model, *made, at::kCPU);
  const std::vector<std::vector<double>> rates{{1e-2}};
  std::vector<double> losses;
  for (int k = 0; k < 40; ++k) {
    losses.push_back(
        train_step(state, *made, *plain_runner(), work.micro_steps, {}, rates).loss.item<double>());
  }
  EXPECT_LT(losses.back(), 0.5 * losses.front());
}

TEST(InterpolantStep, of_a_rank_without_images_runs_and_changes_nothing) {
  TrainState state = small_state(tiny(4), {});
  stir(state);
  const auto made = objectives::interpolant({.model = *state.main().model});
  data::StepBatch batch;
  batch.micro_steps.push_back(data::dummy_batch(3, 0));
  const StepWork work = step_work(batch, *state.main().model, *made, at::kCPU, /*ranks=*/2);
  ASSERT_EQ(work.micro_steps.size(), 1u);
  const std::vector<std::vector<double>> rates{{0.0}};
  const objectives::StepValues values =
      train_step(state, *made, *plain_runner(), work.micro_steps, {}, rates);
  EXPECT_EQ(values.loss.item<double>(), 0);
  for (const parallel::Bucket& bucket : state.main().memory.buckets) {
    if (bucket.layout().key.trainable) {
      EXPECT_EQ(bucket.whole().gradients.abs().max().item<double>(), 0);
    }
  }
}

// --- Images that an autoencoder encodes.

ReferenceNetwork autoencoder() {
  const nlohmann::json config = {{"block_out_channels", {4, 8}},
                                 {"down_block_types", {"DownEncoderBlock2D", "DownEncoderBlock2D"}},
                                 {"up_block_types", {"UpDecoderBlock2D", "UpDecoderBlock2D"}},
                                 {"norm_num_groups", 2},
                                 {"latent_channels", 4},
                                 {"scaling_factor", 0.5},
                                 {"shift_factor", 0.25}};
  ReferenceNetwork out{objectives::kAutoencoder,
                       std::make_unique<models::autoencoder_kl::AutoencoderKl>(config, "test"),
                       {}};
  out.memory = nn::allocate(out.model->params(), {});
  nn::initialise(out.model->params(), out.memory, 5);
  return out;
}

constexpr int64_t kPixelSide = 2 * kSide, kPixelValues = 3 * kPixelSide * kPixelSide;

std::vector<data::Sample> images() {
  std::vector<data::Sample> out;
  for (int64_t i = 0; i < kImages; ++i) {
    data::Sample& sample =
        out.emplace_back(data::latent_sample(data::kPixels, {1, 1, 1}, 4, i % 3));
    sample.extras[data::kMean] = numbers(kPixelValues, static_cast<double>(i));
    sample.extras[data::kVersions] = {1};
  }
  return out;
}

// As tokens.
std::vector<float> tokens_of(const at::Tensor& planes) {
  const at::Tensor flat = planes.contiguous();
  return data::to_tokens({flat.const_data_ptr<float>(), static_cast<size_t>(flat.numel())}, 4,
                         kSide, kSide, kPatch);
}

// The same images as a cache holds them: Gaussians as denoisers see them.
std::vector<data::Sample> encoded(const models::Autoencoder& with) {
  std::vector<data::Sample> out = latents(4);
  for (int64_t i = 0; i < kImages; ++i) {
    std::vector<float> pixels = numbers(kPixelValues, static_cast<double>(i));
    const models::Posterior posterior =
        with.encode(at::from_blob(pixels.data(), {1, 3, kPixelSide, kPixelSide}, at::kFloat), {});
    data::Sample& sample = out[static_cast<size_t>(i)];
    sample.extras[data::kMean] = tokens_of((posterior.mean - with.shift()) * with.scale());
    sample.extras[data::kDeviation] = tokens_of(posterior.deviation * with.scale());
  }
  return out;
}

TEST(InterpolantStep, encodes_images_as_a_cache_would_hold_them) {
  TrainState state = small_state(tiny(4, {{"vae_path", "vae"}}), {});
  stir(state);
  state.references.push_back(autoencoder());
  const auto in_step = objectives::interpolant({.model = *state.main().model});
  const auto before = objectives::interpolant({.model = *state.main().model, .encoded = true});
  ASSERT_EQ(in_step->references().size(), 1u);
  EXPECT_EQ(in_step->references()[0].checkpoint, "vae");
  EXPECT_TRUE(before->references().empty());
  const models::Autoencoder& with = *state.references[0].model->autoencoder();
  const Result cached = run(state, *before, objectives::drawn_step(*before, encoded(with), true));
  for (const bool packed : {true, false}) {
    const data::StepBatch batch = objectives::drawn_step(*in_step, images(), packed, 2);
    expect_close(run(state, *in_step, batch), cached);
  }
}

}  // namespace
}  // namespace lmms::step
