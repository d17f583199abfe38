// Qwen2 and Qwen3 against transformers: logits, loss and every gradient, packed; and what must not
// change them.
#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>
#include <c10/core/GradMode.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <regex>

#include "checkpoint/hf_folder.h"
#include "models/registry_testing.h"
#include "models/tensor_io.h"
#include "objectives/objective.h"
#include "parity_testing.h"
#include "step/device_batch.h"
#include "step/step.h"

namespace lmms {
namespace {

using parity::batch_of;
using parity::expect_gradients;
using parity::Expected;
using parity::gradients;
using parity::kLossBound;
using parity::load;

namespace fs = std::filesystem;
const fs::path kData = fs::path(LMMS_SOURCE_DIR) / "tests/parity/data/qwen_text";

// One sample of a packed batch as a batch of its own.
data::Batch alone(const data::Batch& packed, size_t sample) {
  const data::Segment s = packed.segments[sample];
  const auto cut = [&](const auto& v) {
    return std::decay_t<decltype(v)>(v.begin() + s.start, v.begin() + s.start + s.length);
  };
  data::Batch b;
  b.input_ids = cut(packed.input_ids);
  b.labels = cut(packed.labels);
  b.weights = cut(packed.weights);
  b.position_ids = cut(packed.position_ids);
  b.segments = {{.start = 0, .length = s.length, .mode = s.mode}};
  for (float w : b.weights) b.supervised_tokens += w > 0 ? 1 : 0;
  b.valid_tokens = b.tokens();
  b.samples = b.rows = 1;
  return b;
}

double backward(step::Network& network, const std::vector<data::Batch>& batches, double denominator,
                const nn::RunContext& context = {}) {
  std::vector<nn::Batch> micro_steps;
  for (const data::Batch& b : batches) {
    micro_steps.push_back(
        step::to_device(b, denominator, network.model->language_model()->vocab_size(), at::kCPU));
  }
  return parity::backward(network, micro_steps, context);
}

class QwenText : public ::testing::TestWithParam<std::string> {
 protected:
  QwenText()
      : folder_(kData / GetParam()),
        expected_{checkpoint::SafetensorsFile::open(folder_ / "expected.safetensors").take()} {}

  fs::path folder_;
  Expected expected_;
};

TEST_P(QwenText, packed_logits_equal_those_of_each_sample_alone) {
  const step::Network network = load(folder_);
  const c10::NoGradGuard no_grad;
  const nn::Batch batch = step::to_device(batch_of(expected_), 1,
                                          network.model->language_model()->vocab_size(), at::kCPU);
  const models::LanguageModel& lm = *network.model->language_model();
  const at::Tensor logits = lm.logits(lm.hidden(batch, {}).hidden, {}),
                   theirs = expected_["logits"];
  EXPECT_LE((logits - theirs).norm().item<double>(), 1e-5 * theirs.norm().item<double>());
}

TEST_P(QwenText, loss_and_every_gradient_are_those_of_transformers) {
  step::Network network = load(folder_);
  const data::Batch batch = batch_of(expected_);
  const double loss = backward(network, {batch}, static_cast<double>(batch.supervised_tokens));
  const double theirs = expected_["loss"].item<double>();
  EXPECT_LE(std::abs(loss - theirs), kLossBound * std::abs(theirs));
  expect_gradients(gradients(network), expected_.gradients());
}

TEST_P(QwenText, unpacked_and_accumulated_micro_steps_give_the_same_gradients) {
  step::Network network = load(folder_);
  const data::Batch packed = batch_of(expected_);
  std::vector<data::Batch> micro_steps;
  for (size_t s = 0; s < packed.segments.size(); ++s) micro_steps.push_back(alone(packed, s));
  const double loss = backward(network, micro_steps, static_cast<double>(packed.supervised_tokens));
  EXPECT_LE(std::abs(loss - expected_["loss"].item<double>()), kLossBound * std::abs(loss));
  expect_gradients(gradients(network), expected_.gradients());
}

TEST_P(QwenText, recomputing_layers_changes_no_bit) {
  step::Network network = load(folder_);
  const data::Batch batch = batch_of(expected_);
  const double plain_loss = backward(network, {batch}, 3.0);
  const auto plain = gradients(network);
  EXPECT_EQ(backward(network, {batch}, 3.0, {.keep = nn::Keep::inputs}), plain_loss);
  for (const auto& [name, g] : gradients(network)) EXPECT_TRUE(g.equal(plain.at(name))) << name;
}

TEST_P(QwenText, freezing_a_part_changes_no_bit_of_the_other_gradients) {
  step::Network all = load(folder_);
  const data::Batch batch = batch_of(expected_);
  backward(all, {batch}, 3.0);
  const auto plain = gradients(all);
  for (const nn::Keep keep : nn::kKeeps) {
    step::Network some = load(folder_, at::kFloat, {"model.embed_tokens", "model.layers.0"});
    backward(some, {batch}, 3.0, {.keep = keep});
    const auto partial = gradients(some);
    EXPECT_FALSE(partial.contains("model.embed_tokens.weight"));
    EXPECT_FALSE(partial.contains("model.layers.0.mlp.down_proj.weight"));
    EXPECT_TRUE(partial.contains("model.norm.weight"));
    for (const auto& [name, g] : partial)
      EXPECT_TRUE(g.equal(plain.at(name))) << name << " keep " << static_cast<int>(keep);
  }
}

TEST_P(QwenText, bf16_is_as_close_to_fp32_as_its_precision_allows) {
  step::Network network = load(folder_, at::kBFloat16);
  const data::Batch batch = batch_of(expected_);
  const double loss = backward(network, {batch}, static_cast<double>(batch.supervised_tokens));
  const double theirs = expected_["loss"].item<double>();
  EXPECT_LE(std::abs(loss - theirs), 0.02 * std::abs(theirs));
}

TEST_P(QwenText, what_is_saved_is_what_was_loaded) {
  const step::Network network = load(folder_);
  const checkpoint::TensorIndex files = checkpoint::HfFolder::open(folder_).take().weights().take();
  const auto sources = models::sources(
      network.model->params(), network.memory,
      [&](size_t b) { return network.memory.buckets[b].local().weights; }, at::kFloat);
  for (const checkpoint::TensorSource& source : sources) {
    const checkpoint::TensorView* view = files.find(source.name);
    for (const std::string& other : network.model->params().other_names(source.name))
      view = view != nullptr ? view : files.find(other);
    ASSERT_NE(view, nullptr) << source.name;
    EXPECT_EQ(view->shape, source.shape) << source.name;
    std::vector<std::byte> bytes;
    source.produce([&](std::span<const std::byte> piece) {
      bytes.insert(bytes.end(), piece.begin(), piece.end());
    });
    const at::Tensor original = models::to_tensor(*view, source.name).to(at::kFloat).contiguous();
    ASSERT_EQ(bytes.size(), original.nbytes()) << source.name;
    EXPECT_EQ(std::memcmp(bytes.data(), original.const_data_ptr(), bytes.size()), 0) << source.name;
  }
}

std::vector<std::string> cases() {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(kData))
    names.push_back(entry.path().filename().string());
  std::sort(names.begin(), names.end());
  return names;
}

INSTANTIATE_TEST_SUITE_P(Cases, QwenText, ::testing::ValuesIn(cases()),
                         [](const auto& info) { return info.param; });

TEST(QwenTextErrors, a_checkpoint_of_another_shape_is_named_tensor_by_tensor) {
  const fs::path folder = kData / "qwen3_untied";
  const checkpoint::HfFolder hf = checkpoint::HfFolder::open(folder).take();
  nlohmann::json config = hf.config();
  config["intermediate_size"] = config["intermediate_size"].get<int64_t>() + 1;
  const auto model = models::model_entry(config, "c").make(config, "c");
  nn::ModelMemory memory = nn::allocate(model->params(), {});
  try {
    models::load_weights(model->params(), memory, hf.weights().take(), "folder");
    FAIL() << "loaded";
  } catch (const Error& e) {
    EXPECT_NE(std::string(e.what()).find("model.layers.0.mlp.gate_proj.weight is ["),
              std::string::npos)
        << e.what();
    EXPECT_EQ(e.exit(), Exit::bad_input);
  }
}

TEST(QwenTextErrors, freezing_names_the_nearest_module) {
  step::Network network = load(kData / "qwen3_untied");
  try {
    network.model->params().freeze("model.embed_token", "train.yaml:3:5");
    FAIL() << "frozen";
  } catch (const Error& e) {
    EXPECT_NE(std::string(e.what()).find("did you mean 'model.embed_tokens'?"), std::string::npos)
        << e.what();
  }
  EXPECT_THROW(network.model->params().freeze("model.layers.0.self_attn.q_proj", ""), Error);
}

std::string layer_name(std::string pattern, int64_t layer) {
  const size_t at = pattern.find("{i}");
  return at == std::string::npos ? pattern : pattern.replace(at, 3, std::to_string(layer));
}

TEST(PublicShapes, every_public_size_has_our_names_shapes_and_parameters) {
  for (const char* family : {"llama", "qwen2", "qwen3"}) {
    std::ifstream in(fs::path(LMMS_SOURCE_DIR) / "tests/parity/data/public_shapes" /
                     (std::string(family) + ".json"));
    const nlohmann::json sizes = nlohmann::json::parse(in);
    ASSERT_GE(sizes.size(), 5u);
    for (const auto& [size, what] : sizes.items()) {
      SCOPED_TRACE(std::string(family) + " " + size);
      const auto& config = what["config"];
      const auto model = models::model_entry(config, size).make(config, size);
      EXPECT_EQ(model->params().elements(), what["parameters"].get<int64_t>());
      std::map<std::string, std::vector<int64_t>> theirs, ours;
      for (const auto& [pattern, shape] : what["tensors"].items()) {
        const int64_t layers = pattern.find("{i}") == std::string::npos
                                   ? 1
                                   : config["num_hidden_layers"].get<int64_t>();
        for (int64_t i = 0; i < layers; ++i)
          theirs[layer_name(pattern, i)] = shape.get<std::vector<int64_t>>();
      }
      for (const nn::Param& p : model->params().all()) {
        for (const nn::Part& part : p.parts) ours[part.hub_name] = part.hub_shape;
      }
      EXPECT_EQ(ours, theirs);
    }
  }
}

TEST(Initialisation, follows_the_laws_of_transformers) {
  std::ifstream in(fs::path(LMMS_SOURCE_DIR) / "tests/parity/data/initialisation.json");
  for (const nlohmann::json& one : nlohmann::json::parse(in)) {
    const auto model = models::model_entry(one["config"], "c").make(one["config"], "c");
    nn::ModelMemory memory = nn::allocate(model->params(), {});
    nn::initialise(model->params(), memory, 42);
    for (size_t i = 0; i < model->params().all().size(); ++i) {
      const at::Tensor whole =
          memory.buckets[memory.placements[i].bucket].weight(memory.placements[i].segment);
      for (const nn::Part& part : model->params().all()[i].parts) {
        const std::string name = std::regex_replace(
            part.hub_name, std::regex(R"((layers|blocks|deepstack_merger_list)\.\d+\.)"),
            "$1.{i}.");
        ASSERT_TRUE(one["tensors"].contains(name)) << name;
        const auto& law = one["tensors"][name];
        const at::Tensor t = part.read(whole).to(at::kDouble);
        const double n = static_cast<double>(t.numel()), std = law["std"];
        const double mean = std == 0 ? law["mean"].get<double>() : 0.0;
        // five standard errors of a mean and of a deviation
        EXPECT_NEAR(t.mean().item<double>(), mean, 5 * std / std::sqrt(n) + 1e-12) << part.hub_name;
        EXPECT_NEAR((t - mean).pow(2).mean().sqrt().item<double>(), std,
                    5 * std / std::sqrt(2 * n) + 0.01 * std)
            << part.hub_name;
      }
    }
  }
}

TEST(Initialisation, depends_on_seed_and_name_alone) {
  const nlohmann::json config = {{"model_type", "qwen3"},    {"vocab_size", 40},
                                 {"hidden_size", 16},        {"intermediate_size", 24},
                                 {"num_hidden_layers", 2},   {"num_attention_heads", 2},
                                 {"num_key_value_heads", 1}, {"head_dim", 8}};
  const auto drawn = [&](nlohmann::json c, uint64_t seed, at::ScalarType dtype) {
    const auto model = models::model_entry(c, "c").make(c, "c");
    nn::ModelMemory memory = nn::allocate(model->params(), {at::kCPU, dtype, at::kFloat});
    nn::initialise(model->params(), memory, seed);
    std::map<std::string, at::Tensor> out;
    for (size_t i = 0; i < model->params().all().size(); ++i) {
      const parallel::Bucket& bucket = memory.buckets[memory.placements[i].bucket];
      const at::Tensor whole = bucket.view(bucket.local().exact(), memory.placements[i].segment);
      for (const nn::Part& part : model->params().all()[i].parts)
        out[part.hub_name] = part.read(whole).clone();
    }
    return out;
  };
  const auto base = drawn(config, 1, at::kFloat), bf16 = drawn(config, 1, at::kBFloat16),
             other = drawn(config, 2, at::kFloat);
  nlohmann::json deeper = config;
  deeper["num_hidden_layers"] = 3;
  const auto deep = drawn(deeper, 1, at::kFloat);
  for (const auto& [name, t] : base) {
    EXPECT_TRUE(t.equal(bf16.at(name))) << name;
    EXPECT_TRUE(t.equal(deep.at(name))) << name;
  }
  EXPECT_FALSE(base.at("lm_head.weight").equal(other.at("lm_head.weight")));
  EXPECT_FALSE(base.at("model.layers.0.mlp.up_proj.weight")
                   .equal(base.at("model.layers.1.mlp.up_proj.weight")));
}

}  // namespace
}  // namespace lmms
