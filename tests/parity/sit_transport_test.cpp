// The objective of interpolants and the samplers of denoisers against the authors' transport.
#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/cos.h>
#include <ATen/ops/sin.h>
#include <ATen/ops/zeros.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "data/latents.h"
#include "generate/denoising.h"
#include "objectives/interpolant_objective.h"
#include "parity_testing.h"

namespace lmms {
namespace {

using parity::Expected;
namespace fs = std::filesystem;
const fs::path kData = fs::path(LMMS_SOURCE_DIR) / "tests/parity/data/sit_transport";
constexpr int64_t kSamples = 3;

// A denoiser of 4 x 4 planes whose prediction is a function.
class Fake : public models::Model, public models::Denoiser {
 public:
  using Predict = std::function<at::Tensor(const models::NoisyInput&)>;

  Fake(const models::TransportConfig& transport, Predict predict)
      : Model({{"model_type", "fake"}}, "Fake"),
        transport_(transport),
        predict_(std::move(predict)) {}

  const models::Denoiser* denoiser() const override { return this; }
  at::Tensor predict(const models::NoisyInput& in, const nn::RunContext&) const override {
    return predict_(in);
  }
  models::LatentShape shape() const override { return {4, 4, 4, 2}; }
  int64_t classes() const override { return 3; }
  double class_dropout() const override { return 0.1; }
  models::TransportConfig transport() const override { return transport_; }
  std::string autoencoder_path() const override { return ""; }
  double train_flops(const models::Workload&) const override { return 0; }
  double lmms_engine_flops(const models::Workload&) const override { return 0; }

 private:
  models::TransportConfig transport_;
  Predict predict_;
};

models::InterpolantPath path_of(const std::string& name) {
  return name == "Linear" ? models::InterpolantPath::linear
         : name == "GVP"  ? models::InterpolantPath::gvp
                          : models::InterpolantPath::vp;
}

models::Prediction prediction_of(const std::string& name) {
  return name == "velocity" ? models::Prediction::velocity
         : name == "score"  ? models::Prediction::score
                            : models::Prediction::noise;
}

Expected stored(const char* name) {
  return {checkpoint::SafetensorsFile::open(kData / name).take()};
}

double distance(const at::Tensor& ours, const at::Tensor& theirs) {
  return ((ours - theirs).norm() / theirs.norm()).item<double>();
}

// Three samples at the stored times, and a pad behind them.
nn::Batch batch_of(const Expected& in, int64_t pad) {
  nn::Batch batch;
  const at::Tensor x1 = in["x1"];
  batch.input_ids = at::zeros({x1.size(0) + pad}, at::kInt);
  batch.media[data::kLatents].values = x1;
  batch.media[data::kLatents].grids.assign(kSamples, {1, 2, 2});
  batch.extras[data::kTime].values = in["t"];
  batch.extras[data::kNoise].values = in["x0"].flatten();
  batch.extras[data::kClass].values = at::zeros({kSamples});
  batch.attention =
      kernels::attention_plan(std::vector<int64_t>{4, 4, 4}, at::kCPU, AttentionMode::full);
  return batch;
}

TEST(SitTransport, losses_and_their_gradients_are_the_authors) {
  const Expected in = stored("losses.safetensors");
  using Weighting = models::LossWeighting;
  const std::pair<const char*, Weighting> weightings[] = {{"None", Weighting::none},
                                                          {"velocity", Weighting::velocity},
                                                          {"likelihood", Weighting::likelihood}};
  for (const std::string path : {"Linear", "GVP", "VP"}) {
    for (const std::string kind : {"velocity", "score", "noise"}) {
      for (const auto& [text, weighting] : weightings) {
        const std::string name = path + "." + kind + "." + text;
        const at::Tensor leaf = in["prediction"].clone().set_requires_grad(true);
        at::Tensor told;
        const Fake model(
            {.path = path_of(path), .prediction = prediction_of(kind), .weighting = weighting},
            [&](const models::NoisyInput& noisy) {
              told = noisy.t;
              return at::cat({leaf, at::zeros({2, leaf.size(1)})});
            });
        const auto objective = objectives::interpolant({.model = model});
        const nn::Batch batch = batch_of(in, 2);
        const nn::RunContext run;
        const std::vector<objectives::NamedModel> models{{objectives::kMainNetwork, &model}};
        const std::vector<double> images{kSamples};
        objectives::StepValues values;
        objectives::StepContext context(
            {.models = models, .batch = batch, .run = run, .denominators = images}, values);
        objective->phases().front().run(context);
        const double expected = in[name + ".loss"].item<double>();
        EXPECT_NEAR(values.loss.item<double>(), expected, 5e-6 * expected) << name;
        EXPECT_LT(distance(leaf.grad(), in[name + ".gradient"]), 5e-6) << name;
        EXPECT_TRUE(told.equal(in["t"]));
      }
    }
  }
}

at::Tensor network(const models::NoisyInput& in) {
  const int64_t P = in.x.size(0) / in.t.size(0);
  const at::Tensor t = in.t.repeat_interleave(P).unsqueeze(1),
                   y = in.classes.to(at::kFloat).repeat_interleave(P).unsqueeze(1);
  return (0.4 * in.x + 0.3 * at::sin(2 * in.x)) * at::cos(t) - 0.2 * t - 0.1 * y;
}

TEST(SitTransport, samples_are_the_authors) {
  const Expected in = stored("samples.safetensors");
  std::ifstream file(kData / "cases.json");
  const nlohmann::json cases = nlohmann::json::parse(file);
  const std::vector<int32_t> classes = in.integers("classes");
  for (size_t i = 0; i < cases.size(); ++i) {
    const nlohmann::json& c = cases[i];
    const Fake model({.path = path_of(c["path"]), .prediction = prediction_of(c["prediction"])},
                     network);
    generate::DenoisingOptions options;
    options.sampler = generate::sampler_named(c["sampler"]);
    options.steps = c["steps"];
    options.rtol = 1e-7, options.atol = 1e-8;
    options.guidance = c.value("guidance", 1.0);
    if (c.contains("channels")) options.guided_channels = c["channels"].get<int64_t>();
    if (c.contains("diffusion")) {
      const std::string form = c["diffusion"];
      options.diffusion = generate::diffusion_named(form == "SBDM" ? "sbdm" : form);
      std::string last = c["last_step"];
      last[0] = static_cast<char>(std::tolower(last[0]));
      options.last_step = generate::last_step_named(last);
    }
    const at::Tensor out = *generate::denoise(
        {model, at::kCPU, {}}, in["noise"],
        {.classes = {classes.begin(), classes.end()}, .seed = 11, .ordinals = {0, 1, 2}}, options);
    // an adaptive walk is as exact as its tolerance; near its ends a score magnifies roundings
    const double bound = c["sampler"] == "dopri5" ? 5e-5 : 2e-5;
    EXPECT_LT(distance(out, in[std::to_string(i)]), bound) << i << " " << c.dump();
  }
}

}  // namespace
}  // namespace lmms
