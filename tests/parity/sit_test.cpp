// SiT against the authors' code: what it predicts and every gradient, of packed samples with and
// without a class; names and shapes of the published sizes; the law of every weight at the start.
#include "models/sit/sit.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/zeros.h>
#include <c10/core/GradMode.h>
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <regex>

#include "models/registry_testing.h"
#include "parity_testing.h"

namespace lmms {
namespace {

using parity::expect_gradients;
using parity::Expected;
using parity::gradients;
using parity::load;

namespace fs = std::filesystem;
const fs::path kFolder = fs::path(LMMS_SOURCE_DIR) / "tests/parity/data";
const fs::path kData = kFolder / "sit";

// `pad` tokens stand behind the samples.
models::NoisyInput input_of(const Expected& expected, const models::Denoiser& model,
                            int64_t pad = 0) {
  const at::Tensor x = expected["x"];
  models::NoisyInput in;
  in.x = at::cat({x, at::zeros({pad, x.size(1)})});
  in.t = expected["t"];
  in.classes = expected["classes"].to(at::kLong);
  std::vector<int64_t> lengths(static_cast<size_t>(in.t.size(0)), model.shape().patches());
  if (pad > 0) lengths.push_back(pad);
  in.attention = kernels::attention_plan(lengths, at::kCPU, AttentionMode::full);
  return in;
}

// Gradients of sum(prediction * direction) lie in the buckets.
at::Tensor backward(step::Network& network, const Expected& expected,
                    const nn::RunContext& context = {}, int64_t pad = 0) {
  for (parallel::Bucket& bucket : network.memory.buckets) bucket.zero_gradients();
  const models::Denoiser& model = *network.model->denoiser();
  const at::Tensor out = model.predict(input_of(expected, model, pad), context);
  const at::Tensor samples = out.narrow(0, 0, expected["x"].size(0));
  (samples * expected["direction"]).sum().backward();
  return samples.detach();
}

double distance(const at::Tensor& ours, const at::Tensor& theirs) {
  return (ours - theirs).norm().item<double>() / theirs.norm().item<double>();
}

void expect_same_bits(const std::map<std::string, at::Tensor>& some,
                      const std::map<std::string, at::Tensor>& all) {
  for (const auto& [name, g] : some) EXPECT_TRUE(g.equal(all.at(name))) << name;
}

class SitParity : public ::testing::TestWithParam<const char*> {
 protected:
  SitParity()
      : folder_(kData / GetParam()),
        expected_{checkpoint::SafetensorsFile::open(folder_.string() + ".safetensors").take()} {}

  fs::path folder_;
  Expected expected_;
};

TEST_P(SitParity, prediction_and_every_gradient_are_those_of_the_authors) {
  step::Network network = load(folder_);
  EXPECT_LE(distance(backward(network, expected_), expected_["out"]), 2e-6);
  expect_gradients(gradients(network), expected_.gradients());
}

TEST_P(SitParity, what_is_made_again_in_backward_changes_no_bit) {
  step::Network network = load(folder_);
  const at::Tensor out = backward(network, expected_);
  const auto expected = gradients(network);
  for (const nn::Keep keep : nn::kKeeps) {
    SCOPED_TRACE(static_cast<int>(keep));
    EXPECT_TRUE(backward(network, expected_, {.keep = keep}).equal(out));
    expect_same_bits(gradients(network), expected);
  }
}

TEST_P(SitParity, a_pad_behind_the_samples_changes_nothing_of_them) {
  step::Network network = load(folder_);
  const at::Tensor out = backward(network, expected_);
  EXPECT_LE(distance(backward(network, expected_, {}, 5), out), 1e-6);
  expect_gradients(gradients(network), expected_.gradients());
}

TEST_P(SitParity, freezing_a_part_changes_no_bit_of_the_other_gradients) {
  step::Network all = load(folder_);
  backward(all, expected_);
  const auto plain = gradients(all);
  for (const char* part : {"blocks.0", "x_embedder", "t_embedder", "blocks.*.adaLN_modulation",
                           "y_embedder", "final_layer"}) {
    for (const nn::Keep keep : {nn::Keep::products, nn::Keep::inputs}) {
      SCOPED_TRACE(std::string(part) + ", keep " + std::to_string(static_cast<int>(keep)));
      step::Network some = load(folder_, at::kFloat, {part});
      backward(some, expected_, {.keep = keep});
      const auto partial = gradients(some);
      EXPECT_LT(partial.size(), plain.size());
      expect_same_bits(partial, plain);
    }
  }
}

TEST_P(SitParity, bf16_is_as_close_to_fp32_as_its_precision_allows) {
  step::Network network = load(folder_, at::kBFloat16);
  EXPECT_LE(distance(backward(network, expected_), expected_["out"]), 0.02);
  const auto ours = gradients(network);
  for (const auto& [name, g] : expected_.gradients())
    EXPECT_LE(distance(ours.at(name).to(at::kFloat), g), 0.04) << name;
}

INSTANTIATE_TEST_SUITE_P(Models, SitParity, ::testing::Values("patch2", "prefixed", "pixels"),
                         [](const auto& test) { return std::string(test.param); });

std::unique_ptr<models::Model> sit_of(const nlohmann::json& config) {
  return models::model_entry(config, "c").make(config, "c");
}

TEST(SitModel, every_published_size_has_our_names_and_shapes) {
  std::ifstream in(kFolder / "public_shapes/sit.json");
  const nlohmann::json sizes = nlohmann::json::parse(in);
  ASSERT_EQ(sizes.size(), 12u);
  for (const auto& [size, what] : sizes.items()) {
    SCOPED_TRACE(size);
    const auto model = sit_of(what["config"]);
    EXPECT_EQ(model->params().elements(), what["parameters"].get<int64_t>());
    std::map<std::string, std::vector<int64_t>> theirs, ours;
    for (const auto& [pattern, shape] : what["tensors"].items()) {
      const size_t place = pattern.find("{i}");
      const int64_t blocks =
          place == std::string::npos ? 1 : what["config"]["depth"].get<int64_t>();
      for (int64_t i = 0; i < blocks; ++i) {
        std::string name = pattern;
        if (place != std::string::npos) name.replace(place, 3, std::to_string(i));
        theirs[name] = shape.get<std::vector<int64_t>>();
      }
    }
    for (const nn::Param& p : model->params().all()) {
      for (const nn::Part& part : p.parts) ours[part.hub_name] = part.hub_shape;
    }
    EXPECT_EQ(ours, theirs);
  }
}

TEST(SitModel, starts_as_the_authors_do) {
  std::ifstream in(kData / "initialisation.json");
  const nlohmann::json stored = nlohmann::json::parse(in);
  const auto model = sit_of(stored["config"]);
  nn::ModelMemory memory = nn::allocate(model->params(), {});
  nn::initialise(model->params(), memory, 42);
  for (const nn::Param& p : model->params().all()) {
    const std::string name =
        std::regex_replace(p.name, std::regex(R"(blocks\.\d+\.)"), "blocks.{i}.");
    ASSERT_TRUE(stored["tensors"].contains(name)) << name;
    const auto& law = stored["tensors"][name];
    const at::Tensor t = p.leaf().detach().to(at::kDouble);
    const double n = static_cast<double>(t.numel()), std = law["std"], mean = law["mean"];
    // five standard errors of a mean and of a deviation
    const double centre = name == "pos_embed" ? mean : 0.0;
    EXPECT_NEAR(t.mean().item<double>(), centre, 5 * std / std::sqrt(n) + 1e-12) << p.name;
    EXPECT_NEAR((t - centre).pow(2).mean().sqrt().item<double>(), std,
                5 * std / std::sqrt(2 * n) + 0.01 * std)
        << p.name;
    if (p.init.law == nn::Init::Law::uniform) {
      EXPECT_NEAR(t.abs().max().item<double>(), law["max"].get<double>(),
                  0.02 * law["max"].get<double>())
          << p.name;
    }
  }
}

TEST(SitModel, places_are_told_by_the_authors_numbers) {
  for (const char* name : {"patch2", "pixels"}) {
    const step::Network theirs = load(kData / name);  // reads their pos_embed
    const auto model = sit_of(theirs.model->config());
    nn::ModelMemory memory = nn::allocate(model->params(), {});
    nn::initialise(model->params(), memory, 0);
    const at::Tensor ours = model->params().find_part("pos_embed")->leaf();
    EXPECT_LE(
        (ours - theirs.model->params().find_part("pos_embed")->leaf()).abs().max().item<double>(),
        1e-7);
    EXPECT_FALSE(model->params().find_part("pos_embed")->trainable);
  }
}

TEST(SitModel, counts_every_product_once) {
  const auto model = sit_of({{"model_type", "sit"}});  // XL/2
  const std::vector<int64_t> lengths(3, 256);
  const double h = 1152, tokens = 3 * 256, samples = 3;
  const double conditions = 2 * samples * (256 * h + h * h + 28 * 6 * h * h + 2 * h * h);
  const double products = 2 * tokens * (16 * h + 28 * 12 * h * h + h * 32);
  const double attention = 4 * h * 28 * samples * 256 * 256;
  // neither times nor pixels have a gradient
  const double inputs = 2 * samples * 256 * h + 2 * tokens * 16 * h;
  EXPECT_NEAR(model->train_flops({.lengths = lengths}),
              3 * (conditions + products + attention) - inputs, 1e3);
  EXPECT_EQ(model->lmms_engine_flops({.lengths = lengths}), 0);
}

}  // namespace
}  // namespace lmms
