// The losses of whole trainings against transformers and torch's AdamW (make_training_curve.py).
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "parity_testing.h"
#include "train/device_batch.h"
#include "train/step.h"

namespace lmms {
namespace {

namespace fs = std::filesystem;
const fs::path kData = fs::path(LMMS_SOURCE_DIR) / "tests/parity/data";

// Seen: 2e-6. Betas rounded to fp32 before 1 - beta are 1e-5 away, 1e-3 at beta2 = 0.99999.
TEST(TrainingCurve, of_thirty_steps_is_that_of_transformers) {
  std::ifstream in(kData / "training_curves.json");
  size_t compared = 0;
  for (const nlohmann::json& one : nlohmann::json::parse(in)) {
    const fs::path folder = kData / "qwen_text" / one.at("case").get<std::string>();
    const nlohmann::json& settings = one.at("settings");
    optim::OptimizerConfig config;
    config.adam_beta1 = settings.at("beta1");
    config.adam_beta2 = settings.at("beta2");
    config.adam_epsilon = settings.at("eps");
    config.weight_decay = settings.at("weight_decay");
    config.max_grad_norm = settings.at("max_grad_norm");
    train::Network network = parity::load(folder);
    network.optimizer = std::make_unique<optim::Adamw>(network.memory.buckets, config,
                                                       /*decay_everything=*/false);
    const data::Batch batch = parity::batch_of(
        {checkpoint::SafetensorsFile::open(folder / "expected.safetensors").take()});
    const std::vector<nn::Batch> micro_steps{
        train::to_device(batch, static_cast<double>(batch.supervised_tokens),
                         network.model->language_model()->vocab_size(), at::kCPU)};
    const double rate = settings.at("learning_rate");
    const auto runner = train::plain_runner();
    const auto objective = objectives::next_token();
    double farthest = 0;
    for (const double theirs : one.at("losses")) {
      const double loss =
          train::train_step(network, *objective, *runner, micro_steps, {}, {&rate, 1})
              .item<double>();
      farthest = std::max(farthest, std::abs(loss - theirs) / theirs);
      ++compared;
    }
    EXPECT_LE(farthest, 5e-6) << one.at("case") << " " << settings;
  }
  EXPECT_EQ(compared, 120u);
}

}  // namespace
}  // namespace lmms
