// LLaVA-OneVision against transformers: vision features, logits, loss and every gradient of packed
// samples with images and videos; initialisation; names and shapes of the public sizes.
#include "models/llava_onevision/llava_onevision.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/tensor.h>
#include <c10/core/GradMode.h>
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <regex>
#include <set>

#include "generate/generation.h"
#include "models/registry_testing.h"
#include "parity_testing.h"
#include "step/device_batch.h"
#include "weights_read.h"

namespace lmms {
namespace {

using models::llava_onevision::LlavaOnevision;
using parity::backward;
using parity::expect_gradients;
using parity::Expected;
using parity::gradients;
using parity::load;

namespace fs = std::filesystem;
const fs::path kFolder = fs::path(LMMS_SOURCE_DIR) / "tests/parity/data";
const fs::path kData = kFolder / "llava_onevision";

const LlavaOnevision& llava(const step::Network& network) {
  return dynamic_cast<const LlavaOnevision&>(*network.model);
}

Expected expected_of(const std::string& name) {
  return {checkpoint::SafetensorsFile::open(kData / (name + ".safetensors")).take()};
}

// The case's packed samples, images and videos as they would come to a step.
nn::Batch llava_batch(const Expected& expected, const LlavaOnevision& model, double denominator) {
  const data::Batch packed = parity::batch_of(expected);
  nn::Batch batch = step::to_device(packed, denominator, model.vocab_size(), at::kCPU);
  const std::vector<int32_t> grids = expected.integers("grids"),
                             layouts = expected.integers("layouts");
  for (size_t g = 0; g + 2 < grids.size(); g += 3) {
    batch.media[kVision].grids.push_back({grids[g], grids[g + 1], grids[g + 2]});
    batch.media[kVision].layouts.push_back(
        {static_cast<ViewLayout::Kind>(layouts[g]), layouts[g + 1], layouts[g + 2]});
  }
  if (batch.media.empty()) return batch;
  batch.media[kVision].values = expected["patches"];
  std::vector<int64_t> rows;
  for (size_t t = 0; t < packed.input_ids.size(); ++t) {
    if (packed.input_ids[t] == model.settings().image_token_id ||
        packed.input_ids[t] == model.settings().video_token_id)
      rows.push_back(static_cast<int64_t>(t));
  }
  batch.media[kVision].rows = at::tensor(rows, at::kLong);
  return batch;
}

double supervised(const Expected& expected) {
  return static_cast<double>(parity::batch_of(expected).supervised_tokens);
}

void expect_same_bits(const std::map<std::string, at::Tensor>& a,
                      const std::map<std::string, at::Tensor>& b) {
  for (const auto& [name, g] : a) EXPECT_TRUE(g.equal(b.at(name))) << name;
}

void expect_close(const at::Tensor& ours, const at::Tensor& theirs) {
  ASSERT_EQ(ours.sizes(), theirs.sizes());
  EXPECT_LE((ours - theirs).norm().item<double>(), 1e-5 * theirs.norm().item<double>());
}

bool is_visual(const std::string& name) {
  return name.starts_with("vision_tower.") || name.starts_with("multi_modal_projector.") ||
         name == "image_newline";
}

// MODEL.CASE
class LlavaParity : public ::testing::TestWithParam<std::string> {
 protected:
  LlavaParity()
      : folder_(kData / GetParam().substr(0, GetParam().find('.'))),
        expected_(expected_of(GetParam())) {}

  fs::path folder_;
  Expected expected_;
};

TEST_P(LlavaParity, vision_features_are_those_of_transformers) {
  const step::Network network = load(folder_);
  const c10::NoGradGuard no_grad;
  const nn::Batch batch = llava_batch(expected_, llava(network), 1);
  if (batch.media.empty()) return;
  expect_close(llava(network).features(batch.media.of(kVision), {}), expected_["features"]);
}

TEST_P(LlavaParity, packed_logits_equal_those_of_each_sample_alone) {
  const step::Network network = load(folder_);
  const c10::NoGradGuard no_grad;
  const LlavaOnevision& model = llava(network);
  const at::Tensor hidden = model.hidden(llava_batch(expected_, model, 1), {}).hidden;
  expect_close(model.logits(hidden, {}), expected_["logits"]);
}

TEST_P(LlavaParity, loss_and_every_gradient_are_those_of_transformers) {
  step::Network network = load(folder_);
  const double loss =
      backward(network, {llava_batch(expected_, llava(network), supervised(expected_))});
  const double theirs = expected_["loss"].item<double>();
  EXPECT_LE(std::abs(loss - theirs), parity::kLossBound * std::abs(theirs));
  auto expected = expected_.gradients();
  const auto ours = gradients(network);
  for (const auto& [name, g] : ours) {  // without an image the vision half has none
    if (!expected.contains(name) && is_visual(name)) expected[name] = g.mul(0);
  }
  expect_gradients(ours, expected);
}

TEST_P(LlavaParity, recomputing_blocks_changes_no_bit) {
  step::Network network = load(folder_);
  const nn::Batch batch = llava_batch(expected_, llava(network), 3.0);
  const double plain = backward(network, {batch});
  const auto expected = gradients(network);
  EXPECT_EQ(backward(network, {batch}, {.keep = nn::Keep::inputs}), plain);
  expect_same_bits(gradients(network), expected);
}

TEST_P(LlavaParity, freezing_a_part_changes_no_bit_of_the_other_gradients) {
  step::Network all = load(folder_);
  const nn::Batch batch = llava_batch(expected_, llava(all), 3.0);
  backward(all, {batch});
  const auto plain = gradients(all);
  // the hub's names and those of transformers 5
  for (const char* part :
       {"vision_tower", "model.vision_tower", "model.vision_tower.vision_model.encoder",
        "model.vision_tower.encoder.layers.0", "multi_modal_projector", "model.language_model",
        "language_model", "image_newline"}) {
    for (const nn::Keep keep : nn::kKeeps) {
      SCOPED_TRACE(std::string(part) + ", keep " + std::to_string(static_cast<int>(keep)));
      step::Network some = load(folder_, at::kFloat, {part});
      backward(some, {llava_batch(expected_, llava(some), 3.0)}, {.keep = keep});
      const auto partial = gradients(some);
      EXPECT_LT(partial.size(), plain.size());
      expect_same_bits(partial, plain);
    }
  }
}

TEST_P(LlavaParity, a_tower_that_has_to_run_changes_nothing) {
  step::Network network = load(folder_);
  nn::Batch batch = llava_batch(expected_, llava(network), 3.0);
  const double plain = backward(network, {batch});
  const auto expected = gradients(network);
  batch.media[kVision];
  for (const nn::Keep keep : nn::kKeeps) {
    EXPECT_EQ(backward(network, {batch}, {.keep = keep}), plain);
    expect_same_bits(gradients(network), expected);
  }
}

TEST_P(LlavaParity, bf16_is_as_close_to_fp32_as_its_precision_allows) {
  step::Network network = load(folder_, at::kBFloat16);
  const double loss =
      backward(network, {llava_batch(expected_, llava(network), supervised(expected_))});
  const double theirs = expected_["loss"].item<double>();
  EXPECT_LE(std::abs(loss - theirs), 0.03 * std::abs(theirs));
}

std::vector<std::string> cases() {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(kData)) {
    const std::string name = entry.path().stem().string();
    if (entry.path().extension() == ".safetensors" && !name.starts_with("generation."))
      names.push_back(name);
  }
  std::sort(names.begin(), names.end());
  return names;
}

INSTANTIATE_TEST_SUITE_P(Cases, LlavaParity, ::testing::ValuesIn(cases()), [](const auto& info) {
  std::string name = info.param;
  std::replace(name.begin(), name.end(), '.', '_');
  return name;
});

TEST(LlavaOnevision, generates_the_tokens_of_transformers_alone_and_in_a_batch) {
  for (const std::string name : {"hub", "v5"}) {
    SCOPED_TRACE(name);
    const step::Network network = load(kData / name);
    const Expected expected = expected_of("generation." + name);
    std::vector<data::Sample> prompts;
    std::vector<std::vector<int32_t>> theirs;
    for (int k = 0; k < 4; ++k) {
      const std::string at = std::to_string(k) + ".";
      data::Sample sample = generate::text_prompt(expected.integers(at + "input_ids"));
      for (size_t t = 0; t < sample.text.input_ids.size(); ++t) {
        if (sample.text.input_ids[t] == llava(network).settings().image_token_id ||
            sample.text.input_ids[t] == llava(network).settings().video_token_id)
          sample.media[kVision].tokens.push_back(static_cast<int32_t>(t));
      }
      const std::vector<int32_t> grids = expected.integers(at + "grids"),
                                 layouts = expected.integers(at + "layouts");
      for (size_t g = 0; g + 2 < grids.size(); g += 3) {
        sample.media[kVision].grids.push_back({grids[g], grids[g + 1], grids[g + 2]});
        sample.media[kVision].layouts.push_back(
            {static_cast<ViewLayout::Kind>(layouts[g]), layouts[g + 1], layouts[g + 2]});
      }
      const at::Tensor patches = expected[at + "patches"].contiguous();
      sample.media[kVision].values.assign(patches.const_data_ptr<float>(),
                                          patches.const_data_ptr<float>() + patches.numel());
      prompts.push_back(std::move(sample));
      theirs.push_back(expected.integers(at + "ids"));
    }
    generate::GenerationOptions options;
    options.max_new_tokens = 16;
    const step::ForwardModel forward(*network.model, at::kCPU, {});
    const auto together = generate::generate(forward, prompts, options);
    for (size_t k = 0; k < prompts.size(); ++k) {
      EXPECT_EQ(together[k].ids, theirs[k]) << "in the batch, prompt " << k;
      EXPECT_EQ(generate::generate(forward, {&prompts[k], 1}, options)[0].ids, theirs[k])
          << "alone, prompt " << k;
    }
  }
}

// What ranks that share weights need: each gathers, and reduces, the same ones in the same order.
TEST(LlavaOnevision, reads_the_same_weights_in_order_where_another_rank_has_something_to_see) {
  step::Network network = load(kData / "hub");
  nn::Batch text = llava_batch(expected_of("hub.text"), llava(network), 3.0);
  for (const nn::Keep keep : nn::kKeeps) {
    const auto weights_read = [&](const nn::Batch& of) {
      return parity::weights_read(network, [&] { backward(network, {of}, {.keep = keep}); });
    };
    text.media = {};
    for (const std::string& name : weights_read(text)) EXPECT_FALSE(is_visual(name)) << name;
    text.media[kVision];
    const auto idle = weights_read(text);
    const std::set<std::string> read(idle.begin(), idle.end());
    for (const nn::Param& p : network.model->params().all())
      EXPECT_EQ(read.contains(p.name), p.trainable) << p.name;
    for (const std::string seeing : {"image", "images", "video", "wide", "mixed", "packed"}) {
      const nn::Batch batch = llava_batch(expected_of("hub." + seeing), llava(network), 3.0);
      EXPECT_EQ(weights_read(batch), idle) << seeing << ", keep " << static_cast<int>(keep);
    }
  }
}

TEST(LlavaOnevision, is_saved_under_the_names_of_the_hub_whatever_names_it_was_read_by) {
  const step::Network network = load(kData / "v5");
  const checkpoint::TensorIndex files =
      checkpoint::HfFolder::open(kData / "v5").take().weights().take();
  const nn::ParamTable& params = network.model->params();
  size_t renamed = 0;
  for (const checkpoint::TensorSource& source : models::sources(
           params, network.memory,
           [&](size_t b) { return network.memory.buckets[b].local().weights; }, at::kFloat)) {
    const checkpoint::TensorView* view = nullptr;
    for (const std::string& other : params.other_names(source.name))
      view = view != nullptr ? view : files.find(other);
    ASSERT_NE(view, nullptr) << source.name;
    EXPECT_EQ(view->shape, source.shape);
    std::vector<std::byte> bytes;
    source.produce([&](std::span<const std::byte> piece) {
      bytes.insert(bytes.end(), piece.begin(), piece.end());
    });
    EXPECT_TRUE(std::ranges::equal(bytes, view->bytes)) << source.name;
    EXPECT_TRUE(source.name.starts_with("language_model.model.") ||
                source.name.starts_with("vision_tower.vision_model.") || is_visual(source.name))
        << source.name;
    ++renamed;
  }
  EXPECT_EQ(renamed, files.tensors().size());
}

// post_layernorm, and the layers behind vision_feature_layer.
TEST(LlavaOnevision, what_no_feature_passes_is_kept_and_not_trained) {
  const auto aside = [](const char* folder) {
    std::vector<std::string> names;
    const step::Network network = load(kData / folder);
    for (const nn::Param& p : network.model->params().all()) {
      if (!p.trainable) names.push_back(p.name);
    }
    return names;
  };
  const std::string norm = "vision_tower.vision_model.post_layernorm.";
  EXPECT_EQ(aside("hub"), (std::vector{norm + "weight", norm + "bias"}));
  const auto more = aside("v5");
  EXPECT_EQ(more.size(), 14u);  // a layer: two norms, four products
  for (const std::string& name : more)
    EXPECT_TRUE(name.starts_with(norm) ||
                name.starts_with("vision_tower.vision_model.encoder.layers.2."))
        << name;
}

TEST(LlavaOnevision, says_what_does_not_fit_in_a_batch) {
  const step::Network network = load(kData / "hub");
  const Expected expected = expected_of("hub.image");
  const LlavaOnevision& model = llava(network);
  const auto fault = [&](auto spoil) {
    nn::Batch batch = llava_batch(expected, model, 1);
    spoil(batch.media[kVision]);
    try {
      model.hidden(batch, {});
    } catch (const Error& e) {
      return std::string(e.what());
    }
    return std::string("ran");
  };
  const auto expect_named = [](const std::string& text, const char* name) {
    EXPECT_NE(text.find(name), std::string::npos) << text;
  };
  expect_named(fault([](nn::MediaInput& v) { v.grids[0].h += 1; }), "views of 7 x 7 patches");
  expect_named(fault([](nn::MediaInput& v) { v.grids[0].t = 0; }), "views of 7 x 7 patches");
  expect_named(fault([](nn::MediaInput& v) { v.grids[0].t += 1; }),
               "3 views of an image of 20 x 50 pixels");
  expect_named(fault([](nn::MediaInput& v) { v.layouts[0].height = 0; }), "at least one pixel");
  expect_named(fault([](nn::MediaInput& v) { v.layouts[0].kind = ViewLayout::Kind::single; }),
               "one view of an image among others");
  expect_named(fault([](nn::MediaInput& v) { v.layouts.clear(); }),
               "1 images and videos, 0 of them with a layout");
  expect_named(fault([](nn::MediaInput& v) { v.values = v.values.narrow(1, 0, 40); }),
               "48 values a patch");
  expect_named(fault([](nn::MediaInput& v) { v.rows = v.rows.narrow(0, 1, 3); }),
               "133 features for 3 image and video tokens");
}

TEST(LlavaOnevision, names_the_key_of_a_config_that_cannot_be) {
  std::ifstream in(kData / "hub" / "config.json");
  const nlohmann::json good = nlohmann::json::parse(in);
  const auto fault = [&](const char* pointer, const nlohmann::json& value) {
    nlohmann::json config = good;
    config[nlohmann::json::json_pointer(pointer)] = value;
    try {
      models::model_entry(config, "c.json").make(config, "c.json");
    } catch (const Error& e) {
      return std::string(e.what());
    }
    return std::string("made");
  };
  const auto expect_named = [&](const char* pointer, const nlohmann::json& value,
                                const char* name) {
    const std::string text = fault(pointer, value);
    EXPECT_NE(text.find(name), std::string::npos) << text;
  };
  EXPECT_EQ(fault("/vision_feature_layer", 0), "made");
  EXPECT_EQ(fault("/vision_feature_layer", -4), "made");
  EXPECT_EQ(fault("/vision_config/image_size", nlohmann::json::array({28, 28})), "made");
  expect_named("/vision_feature_layer", -5, "vision_feature_layer: expected an integer from -4");
  expect_named("/vision_feature_layer", nlohmann::json::array({-2, -1}), "a list; one number is");
  expect_named("/vision_feature_select_strategy", "default", "SigLIP has no class token");
  expect_named("/vision_aspect_ratio", "square", "such as 'anyres_max_9'; got 'square'");
  expect_named("/vision_aspect_ratio", "anyres_max_0", "got 'anyres_max_0'");
  expect_named("/image_grid_pinpoints", nlohmann::json::array({{28, 30}}), "not whole tiles of");
  expect_named("/image_grid_pinpoints", nlohmann::json::array({{28}}), "expected [height, width]");
  expect_named("/image_grid_pinpoints", 7, "expected a list of [height, width]");
  expect_named("/vision_config", 3, "vision_config: expected a map");
  expect_named("/vision_config/model_type", "clip_vision_model", "not built yet");
  expect_named("/vision_config/num_attention_heads", 5, "5 does not divide hidden_size 16");
  expect_named("/vision_config/patch_size", 29, "29 is larger than image_size 28");
  expect_named("/vision_config/image_size", nlohmann::json::array({28, 30}), "two that are the");
  expect_named("/vision_config/vision_use_head", true, "the pooling head");
  expect_named("/text_config/model_type", "llama", "'llama' (qwen2 is)");
  expect_named("/image_token_index", 96, "image_token_index: 96 is outside the vocabulary of 96");
  expect_named("/projector_hidden_act", "relu", "projector_hidden_act: not built yet");
}

// One image of three views and a video of two frames, worked out by hand.
TEST(LlavaOnevision, counts_the_flops_of_tower_and_projector) {
  const PatchGrid grids[] = {{3, 7, 7}, {2, 7, 7}};
  const int64_t lengths[] = {200};
  const models::Workload with{lengths, 3, {{kVision, {grids[0], grids[1]}}}}, without{lengths, 3};
  const double P = 5 * 49, H = 16, I = 27, out = 32;
  const double embed = 2 * 48 * H, layer = 2 * (4 * H * H + 2 * H * I);
  const double attention = 4 * H * 49, projector = 2 * (H * out + out * out);
  const step::Network network = load(kData / "hub");
  const auto flops = [&](const step::Network& n) {
    return n.model->train_flops(with) - n.model->train_flops(without);
  };
  // patches take no gradient: the embedding is counted twice, all else three times
  EXPECT_DOUBLE_EQ(flops(network), P * (2 * embed + 3 * (3 * layer + 3 * attention + projector)));
  // a frozen tower is run forward; the projector's first product takes no gradient of its input
  const step::Network frozen = load(kData / "hub", at::kFloat, {"vision_tower"});
  EXPECT_DOUBLE_EQ(flops(frozen),
                   P * (embed + 3 * layer + 3 * attention + 2 * 2 * H * out + 3 * 2 * out * out));
  EXPECT_EQ(network.model->lmms_engine_flops(with), network.model->lmms_engine_flops(without));
}

TEST(LlavaOnevision, starts_by_the_laws_of_transformers) {
  std::ifstream in(kData / "initialisation.json");
  const nlohmann::json one = nlohmann::json::parse(in);
  const auto model = models::model_entry(one["config"], "c").make(one["config"], "c");
  nn::ModelMemory memory = nn::allocate(model->params(), {});
  nn::initialise(model->params(), memory, 42);
  size_t seen = 0;
  for (size_t i = 0; i < model->params().all().size(); ++i) {
    const at::Tensor whole =
        memory.buckets[memory.placements[i].bucket].weight(memory.placements[i].segment);
    for (const nn::Part& part : model->params().all()[i].parts) {
      SCOPED_TRACE(part.hub_name);
      const std::string name =
          std::regex_replace(part.hub_name, std::regex(R"(layers\.\d+\.)"), "layers.{i}.");
      ASSERT_TRUE(one["tensors"].contains(name));
      const auto& law = one["tensors"][name];
      const at::Tensor t = part.read(whole).to(at::kDouble);
      const double n = static_cast<double>(t.numel()), std = law["std"];
      const double mean = std == 0 ? law["mean"].get<double>() : 0.0;
      EXPECT_NEAR(t.mean().item<double>(), mean, 5 * std / std::sqrt(n) + 1e-12);
      const double theirs = law["elements"].get<double>() * one["seeds"].get<double>();
      EXPECT_NEAR((t - mean).pow(2).mean().sqrt().item<double>(), std,
                  5 * std / std::sqrt(2 * n) + 5 * std / std::sqrt(2 * theirs));
      // the tails tell uniform numbers from normal ones
      if (std > 0 && n > 100) {
        EXPECT_EQ(t.abs().max().item<double>() < 1.8 * std, law["max"].get<double>() < 1.8 * std);
      }
      ++seen;
    }
  }
  EXPECT_GT(seen, 60u);
}

TEST(PublicShapes, every_public_size_of_llava_onevision_has_our_names_shapes_and_parameters) {
  std::ifstream in(kFolder / "public_shapes" / "llava_onevision.json");
  const nlohmann::json sizes = nlohmann::json::parse(in);
  ASSERT_EQ(sizes.size(), 3u);
  for (const auto& [size, what] : sizes.items()) {
    SCOPED_TRACE(size);
    const auto& config = what["config"];
    const auto model = models::model_entry(config, size).make(config, size);
    EXPECT_EQ(model->params().elements(), what["parameters"].get<int64_t>());
    std::map<std::string, std::vector<int64_t>> theirs, ours;
    for (const auto& [pattern, shape] : what["tensors"].items()) {
      const size_t place = pattern.find("{i}");
      const auto& part = config[pattern.starts_with("vision") ? "vision_config" : "text_config"];
      const int64_t count =
          place == std::string::npos ? 1 : part["num_hidden_layers"].get<int64_t>();
      for (int64_t i = 0; i < count; ++i) {
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

}  // namespace
}  // namespace lmms
