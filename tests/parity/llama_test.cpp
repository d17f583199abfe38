// Llama against transformers: logits, loss and every gradient, packed.
#include "models/llama/llama.h"

#include <c10/core/GradMode.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "checkpoint/safetensors.h"
#include "core/error.h"
#include "parity_testing.h"
#include "step/device_batch.h"

namespace lmms {
namespace {

namespace fs = std::filesystem;
const fs::path kData = fs::path(LMMS_SOURCE_DIR) / "tests/parity/data/llama";

nn::Batch on_cpu(const data::Batch& batch, const step::Network& network) {
  return step::to_device(batch, static_cast<double>(batch.supervised_tokens),
                         network.model->language_model()->vocab_size(), at::kCPU);
}

class Llama : public testing::TestWithParam<const char*> {};

TEST_P(Llama, logits_loss_and_every_gradient_are_those_of_transformers) {
  step::Network network = parity::load(kData / GetParam());
  const parity::Expected expected{
      checkpoint::SafetensorsFile::open(kData / GetParam() / "expected.safetensors").take()};
  const nn::Batch batch = on_cpu(parity::batch_of(expected), network);
  {
    const c10::NoGradGuard no_grad;
    const models::LanguageModel& model = *network.model->language_model();
    const at::Tensor logits = model.logits(model.hidden(batch, {}).hidden, {}),
                     theirs = expected["logits"];
    EXPECT_LE((logits - theirs).norm().item<double>(), 1e-5 * theirs.norm().item<double>());
  }
  const double theirs = expected["loss"].item<double>();
  for (const nn::Keep keep : {nn::Keep::everything, nn::Keep::inputs}) {
    const double loss = parity::backward(network, {batch}, {.keep = keep});
    EXPECT_LE(std::abs(loss - theirs), parity::kLossBound * std::abs(theirs));
    parity::expect_gradients(parity::gradients(network), expected.gradients());
  }
}

INSTANTIATE_TEST_SUITE_P(Cases, Llama, testing::Values("untied", "tied", "biases", "odd"),
                         [](const auto& info) { return info.param; });

std::string refusal(nlohmann::json changes) {
  nlohmann::json config = {{"model_type", "llama"}};
  config.update(changes);
  try {
    models::llama::read_config(models::ConfigReader(config, "config.json"));
    return "";
  } catch (const Error& e) {
    return e.what();
  }
}

TEST(LlamaConfig, refuses_by_name_what_is_not_built) {
  EXPECT_EQ(refusal(nlohmann::json::object()), "");
  EXPECT_NE(refusal({{"pretraining_tp", 2}}).find("pretraining_tp"), std::string::npos);
  EXPECT_NE(refusal({{"hidden_act", "gelu"}}).find("hidden_act"), std::string::npos);
  EXPECT_NE(refusal({{"hidden_size", 100}}).find("does not divide"), std::string::npos);
  const nlohmann::json rope = {
      {"rope_type", "llama3"}, {"factor", 8}, {"low_freq_factor", 4}, {"high_freq_factor", 4}};
  EXPECT_NE(refusal({{"rope_scaling", rope}}).find("high_freq_factor"), std::string::npos);
}

}  // namespace
}  // namespace lmms
