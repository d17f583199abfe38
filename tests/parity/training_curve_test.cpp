// The losses of whole trainings against transformers and torch's AdamW (make_training_curve.py).
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "optim/adamw.h"
#include "parity_testing.h"
#include "step/device_batch.h"
#include "step/step.h"

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
    step::TrainState state;
    step::Network& network = state.networks.emplace_back(parity::load(folder));
    network.name = objectives::kMainNetwork;
    network.decision =
        std::make_unique<optim::StepDecision>(network.memory.buckets, config.max_grad_norm);
    network.optimizer = optim::make_adamw({network.memory.buckets, config});
    const data::Batch batch = parity::batch_of(
        {checkpoint::SafetensorsFile::open(folder / "expected.safetensors").take()});
    const auto tokens = static_cast<double>(batch.supervised_tokens);
    const std::vector<step::MicroStep> micro_steps{
        {step::to_device(batch, tokens, network.model->language_model()->vocab_size(), at::kCPU),
         {tokens}}};
    const std::vector<std::vector<double>> rates{{settings.at("learning_rate").get<double>()}};
    const auto runner = step::plain_runner();
    const auto objective = objectives::next_token();
    double farthest = 0;
    for (const double theirs : one.at("losses")) {
      const double loss =
          step::train_step(state, *objective, *runner, micro_steps, {}, rates).loss.item<double>();
      farthest = std::max(farthest, std::abs(loss - theirs) / theirs);
      ++compared;
    }
    EXPECT_LE(farthest, 5e-6) << one.at("case") << " " << settings;
  }
  EXPECT_EQ(compared, 120u);
}

}  // namespace
}  // namespace lmms
