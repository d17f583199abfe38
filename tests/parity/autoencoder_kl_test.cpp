// AutoencoderKL against diffusers: posteriors and images of tiny models, of every form of files,
// and of Stable Diffusion's shape.
#include "models/autoencoder_kl/autoencoder_kl.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "checkpoint/scratch_folder.h"
#include "core/files.h"
#include "parity_testing.h"

namespace lmms {
namespace {

namespace fs = std::filesystem;
using models::open_autoencoder;
using parity::Expected;
using testing::HasSubstr;

const fs::path kData = fs::path(LMMS_SOURCE_DIR) / "tests/parity/data/autoencoder_kl";

Expected expected_of(const std::string& name) {
  return {checkpoint::SafetensorsFile::open(kData / (name + ".safetensors")).take()};
}

double distance(const at::Tensor& ours, const at::Tensor& theirs) {
  EXPECT_EQ(ours.sizes(), theirs.sizes());
  return (ours - theirs).norm().item<double>() / theirs.norm().item<double>();
}

void expect_same(const models::Autoencoder& ours, const Expected& expected,
                 const at::Tensor& pixels, const at::Tensor& latents, double bound) {
  const models::Posterior posterior = ours.encode(pixels, {});
  EXPECT_LE(distance(posterior.mean, expected["mean"]), bound);
  EXPECT_LE(distance(posterior.deviation, expected["deviation"]), bound);
  EXPECT_LE(distance(ours.decode(latents, {}), expected["decoded"]), bound);
}

class AutoencoderKlParity : public ::testing::TestWithParam<const char*> {};

TEST_P(AutoencoderKlParity, posteriors_and_images_are_those_of_diffusers) {
  const Expected expected = expected_of(GetParam());
  const models::OpenAutoencoder ours = open_autoencoder(kData / GetParam(), at::kCPU);
  expect_same(*ours, expected, expected["pixels"], expected["latents"], 3e-6);
}

TEST_P(AutoencoderKlParity, bf16_is_as_close_as_its_precision_allows) {
  const Expected expected = expected_of(GetParam());
  const models::OpenAutoencoder ours =
      open_autoencoder(kData / GetParam(), at::kCPU, at::kBFloat16);
  expect_same(*ours, expected, expected["pixels"], expected["latents"], 0.03);
}

INSTANTIATE_TEST_SUITE_P(Models, AutoencoderKlParity, ::testing::Values("tiny", "shifted", "old"),
                         [](const auto& test) { return std::string(test.param); });

// As `drawn` in make_autoencoder_kl.py.
at::Tensor drawn(const std::string& name, at::IntArrayRef shape) {
  uint64_t seed = 0xcbf29ce484222325;
  for (const char c : name) seed = (seed ^ static_cast<uint8_t>(c)) * 0x100000001b3;
  at::Tensor t = at::empty(shape, at::kFloat);
  float* out = t.mutable_data_ptr<float>();
  for (int64_t i = 0; i < t.numel(); ++i) {
    uint64_t z = seed + static_cast<uint64_t>(i + 1) * 0x9e3779b97f4a7c15;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    z ^= z >> 31;
    out[i] = static_cast<float>(z >> 40) / 8388608.0f - 1;
  }
  return t;
}

at::Tensor weight_of(const std::string& name, at::IntArrayRef shape) {
  const at::Tensor value = drawn(name, shape);
  if (shape.size() > 1)
    return value *
           std::sqrt(3.0 * static_cast<double>(shape[0]) / static_cast<double>(value.numel()));
  return value * 0.1 + (name.ends_with("weight") ? 1 : 0);
}

TEST(AutoencoderKl, of_stable_diffusion_has_its_names_shapes_and_results) {
  std::ifstream in(kData / "full.json");
  const nlohmann::json full = nlohmann::json::parse(in);
  models::OpenAutoencoder ours;
  ours.model = std::make_unique<models::autoencoder_kl::AutoencoderKl>(full["config"], "full.json");
  EXPECT_EQ(ours.model->params().elements(), full["parameters"].get<int64_t>());
  ours.memory = nn::allocate(ours.model->params(), {});
  std::map<std::string, std::vector<int64_t>> shapes;
  for (const nn::Param& p : ours.model->params().all()) {
    ASSERT_EQ(p.parts.size(), 1u);
    shapes[p.parts[0].hub_name] = p.parts[0].hub_shape;
    p.leaf().detach().copy_(weight_of(p.parts[0].hub_name, p.shape));
    EXPECT_FALSE(p.trainable);
  }
  EXPECT_EQ(shapes, (full["tensors"].get<std::map<std::string, std::vector<int64_t>>>()));
  EXPECT_EQ(ours->stride(), 8);
  EXPECT_EQ(ours->channels(), 4);
  EXPECT_EQ(ours->scale(), 0.18215);
  expect_same(*ours, expected_of("full"), drawn("pixels", {1, 3, 64, 64}),
              drawn("latents", {1, 4, 8, 8}) * 2, 1e-5);
}

TEST(AutoencoderKl, what_denoisers_see_is_scaled_and_shifted_as_the_config_says) {
  const models::OpenAutoencoder ours = open_autoencoder(kData / "shifted", at::kCPU);
  EXPECT_EQ(ours->scale(), 0.3611);
  EXPECT_EQ(ours->shift(), 0.1159);
  EXPECT_EQ(ours->channels(), 16);
  EXPECT_EQ(ours->stride(), 4);
}

TEST(AutoencoderKl, large_images_go_through_one_by_one) {
  const models::OpenAutoencoder ours = open_autoencoder(kData / "tiny", at::kCPU);
  const at::Tensor pixels = drawn("many", {2, 3, 192, 192}), latents = drawn("z", {2, 4, 96, 96});
  const models::Posterior both = ours->encode(pixels, {});
  const at::Tensor images = ours->decode(latents, {});
  for (int64_t i = 0; i < 2; ++i) {
    const models::Posterior one = ours->encode(pixels.narrow(0, i, 1), {});
    EXPECT_TRUE(both.mean.narrow(0, i, 1).equal(one.mean));
    EXPECT_TRUE(both.deviation.narrow(0, i, 1).equal(one.deviation));
    EXPECT_TRUE(images.narrow(0, i, 1).equal(ours->decode(latents.narrow(0, i, 1), {})));
  }
}

TEST(AutoencoderKl, images_that_it_cannot_cut_are_named) {
  const models::OpenAutoencoder ours = open_autoencoder(kData / "tiny", at::kCPU);
  EXPECT_THROW(ours->encode(at::zeros({1, 3, 9, 8}), {}), Error);
  EXPECT_THROW(ours->encode(at::zeros({1, 1, 8, 8}), {}), Error);
  EXPECT_THROW(ours->decode(at::zeros({1, 3, 8, 8}), {}), Error);
}

class AutoencoderFolder : public ::testing::Test {
 protected:
  void write_config(const nlohmann::json& change) {
    std::ifstream in(kData / "tiny/config.json");
    nlohmann::json config = nlohmann::json::parse(in);
    config.update(change);
    OutputFile(folder_ / "config.json").write(config.dump(1));
  }
  std::string fault() {
    try {
      open_autoencoder(folder_.path(), at::kCPU);
    } catch (const Error& error) {
      return error.fault().text();
    }
    return "no fault";
  }
  checkpoint::ScratchFolder folder_;
};

TEST_F(AutoencoderFolder, faults_say_what_is_wrong_and_where) {
  EXPECT_THAT(fault(), HasSubstr("holds no config.json"));
  write_config(nlohmann::json::object());
  EXPECT_THAT(fault(), HasSubstr("holds no weights: neither diffusion_pytorch_model.safetensors"));
  fs::copy_file(kData / "tiny/diffusion_pytorch_model.safetensors",
                folder_ / "diffusion_pytorch_model.safetensors");
  EXPECT_EQ(fault(), "no fault");
  write_config({{"latent_channels", 5}});
  EXPECT_THAT(fault(), HasSubstr("does not fit the model"));
  for (const auto& [change, what] : std::vector<std::pair<nlohmann::json, const char*>>{
           {{{"_class_name", "AutoencoderTiny"}}, "not built: \"AutoencoderTiny\""},
           {{{"down_block_types", {"DownEncoderBlock2D", "Other"}}}, "down_block_types: not built"},
           {{{"norm_num_groups", 3}}, "norm_num_groups: 3 does not divide 8"},
           {{{"act_fn", "relu"}}, "act_fn: not built: 'relu'"},
           {{{"latents_mean", {0, 0, 0, 0}}}, "latents_mean: not built"},
           {{{"scaling_factor", 0}}, "scaling_factor: should be above 0"}}) {
    write_config(change);
    EXPECT_THAT(fault(), AllOf(HasSubstr("config.json"), HasSubstr(what)));
  }
}

TEST_F(AutoencoderFolder, may_be_that_of_a_whole_pipeline) {
  fs::copy(kData / "tiny", folder_ / "vae", fs::copy_options::recursive);
  EXPECT_EQ(fault(), "no fault");
  EXPECT_THROW(open_autoencoder(folder_ / "none", at::kCPU), Error);
}

}  // namespace
}  // namespace lmms
