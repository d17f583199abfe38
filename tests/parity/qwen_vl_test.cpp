// Qwen2.5-VL and Qwen3-VL against transformers: vision features, logits, loss and every gradient of
// packed samples with images and videos; positions; names and shapes of the public sizes.
#include "models/qwen_vl/qwen_vl.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>
#include <c10/core/GradMode.h>
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <set>

#include "models/qwen_vl/rope_index.h"
#include "models/registry_testing.h"
#include "nn/cache.h"
#include "parity_testing.h"
#include "step/device_batch.h"
#include "weights_read.h"

namespace lmms {
namespace {

using models::qwen_vl::QwenVl;
using parity::backward;
using parity::expect_gradients;
using parity::Expected;
using parity::gradients;
using parity::load;

namespace fs = std::filesystem;
const fs::path kFolder = fs::path(LMMS_SOURCE_DIR) / "tests/parity/data";
const fs::path kData = kFolder / "qwen_vl";

const QwenVl& vl(const step::Network& network) {
  return dynamic_cast<const QwenVl&>(*network.model);
}

// The case's packed samples, images and videos as they would come to a step.
nn::Batch vl_batch(const Expected& expected, const QwenVl& model, double denominator) {
  const data::Batch packed = parity::batch_of(expected);
  nn::Batch batch = step::to_device(packed, denominator, model.vocab_size(), at::kCPU);
  batch.position_ids = expected["position_ids"];  // [3, T]
  const std::vector<int32_t> grids = expected.integers("grids");
  for (size_t g = 0; g + 2 < grids.size(); g += 3)
    batch.media[kVision].grids.push_back({grids[g], grids[g + 1], grids[g + 2]});
  if (batch.media.empty()) return batch;
  batch.media[kVision].values = expected["pixel_values"];
  std::vector<int64_t> rows;
  const models::qwen_vl::RopeIndexConfig& ids = model.settings().positions;
  for (size_t t = 0; t < packed.input_ids.size(); ++t) {
    if (packed.input_ids[t] == ids.image_token_id || packed.input_ids[t] == ids.video_token_id)
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

// MODEL.CASE
class QwenVlParity : public ::testing::TestWithParam<std::string> {
 protected:
  QwenVlParity()
      : folder_(kData / GetParam().substr(0, GetParam().find('.'))),
        expected_{checkpoint::SafetensorsFile::open(kData / (GetParam() + ".safetensors")).take()} {
  }

  fs::path folder_;
  Expected expected_;
};

TEST_P(QwenVlParity, vision_features_are_those_of_transformers) {
  const step::Network network = load(folder_);
  const c10::NoGradGuard no_grad;
  const nn::Batch batch = vl_batch(expected_, vl(network), 1);
  if (batch.media.empty()) return;
  const auto expect_close = [](const at::Tensor& ours, const at::Tensor& theirs) {
    ASSERT_EQ(ours.sizes(), theirs.sizes());
    EXPECT_LE((ours - theirs).norm().item<double>(), 1e-5 * theirs.norm().item<double>());
  };
  const auto features = vl(network).tower()(batch.media.of(kVision), {});
  expect_close(features.merged, expected_["features"]);
  for (size_t k = 0; k < features.deepstack.size(); ++k)
    expect_close(features.deepstack[k], expected_["deepstack." + std::to_string(k)]);
}

TEST_P(QwenVlParity, packed_logits_equal_those_of_each_sample_alone) {
  const step::Network network = load(folder_);
  const c10::NoGradGuard no_grad;
  const QwenVl& model = vl(network);
  const at::Tensor hidden = model.hidden(vl_batch(expected_, model, 1), {}).hidden,
                   logits = model.logits(hidden, {}), theirs = expected_["logits"];
  EXPECT_LE((logits - theirs).norm().item<double>(), 1e-5 * theirs.norm().item<double>());
}

TEST_P(QwenVlParity, loss_and_every_gradient_are_those_of_transformers) {
  step::Network network = load(folder_);
  const double loss = backward(network, {vl_batch(expected_, vl(network), supervised(expected_))});
  const double theirs = expected_["loss"].item<double>();
  EXPECT_LE(std::abs(loss - theirs), parity::kLossBound * std::abs(theirs));
  auto expected = expected_.gradients();
  const auto ours = gradients(network);
  for (const auto& [name, g] : ours) {  // without an image the tower has none
    if (!expected.contains(name) && name.find("visual.") != std::string::npos)
      expected[name] = g.mul(0);
  }
  expect_gradients(ours, expected);
}

TEST_P(QwenVlParity, recomputing_blocks_changes_no_bit) {
  step::Network network = load(folder_);
  const nn::Batch batch = vl_batch(expected_, vl(network), 3.0);
  const double plain = backward(network, {batch});
  const auto expected = gradients(network);
  EXPECT_EQ(backward(network, {batch}, {.keep = nn::Keep::inputs}), plain);
  expect_same_bits(gradients(network), expected);
}

TEST_P(QwenVlParity, freezing_a_part_changes_no_bit_of_the_other_gradients) {
  step::Network all = load(folder_);
  const nn::Batch batch = vl_batch(expected_, vl(all), 3.0);
  backward(all, {batch});
  const auto plain = gradients(all);
  // the hub's names and those of transformers 5
  for (const char* part : {"visual", "model.visual", "model.language_model", "visual.blocks.0"}) {
    for (const nn::Keep keep : nn::kKeeps) {
      SCOPED_TRACE(std::string(part) + ", keep " + std::to_string(static_cast<int>(keep)));
      step::Network some = load(folder_, at::kFloat, {part});
      backward(some, {vl_batch(expected_, vl(some), 3.0)}, {.keep = keep});
      const auto partial = gradients(some);
      EXPECT_LT(partial.size(), plain.size());
      expect_same_bits(partial, plain);
    }
  }
}

TEST_P(QwenVlParity, a_tower_that_has_to_run_changes_nothing) {
  step::Network network = load(folder_);
  nn::Batch batch = vl_batch(expected_, vl(network), 3.0);
  const double plain = backward(network, {batch});
  const auto expected = gradients(network);
  batch.media[kVision];
  for (const nn::Keep keep : nn::kKeeps) {
    EXPECT_EQ(backward(network, {batch}, {.keep = keep}), plain);
    expect_same_bits(gradients(network), expected);
  }
}

TEST_P(QwenVlParity, bf16_is_as_close_to_fp32_as_its_precision_allows) {
  step::Network network = load(folder_, at::kBFloat16);
  const double loss = backward(network, {vl_batch(expected_, vl(network), supervised(expected_))});
  const double theirs = expected_["loss"].item<double>();
  EXPECT_LE(std::abs(loss - theirs), 0.03 * std::abs(theirs));
}

TEST_P(QwenVlParity, positions_of_each_sample_are_those_of_get_rope_index) {
  const step::Network network = load(folder_);
  const models::qwen_vl::RopeIndexConfig& config = vl(network).settings().positions;
  const std::vector<int32_t> ids = expected_.integers("input_ids"),
                             grids = expected_.integers("grids"),
                             is_video = expected_.integers("is_video");
  const at::Tensor seconds = expected_["seconds_per_grid"], theirs = expected_["position_ids"];
  int64_t start = 0;
  size_t medium = 0;
  int64_t frames = 0;  // of the medium, still to come as runs of their own
  for (int32_t length : expected_.integers("segment_lengths")) {
    const auto sample =
        std::span(ids).subspan(static_cast<size_t>(start), static_cast<size_t>(length));
    std::vector<models::qwen_vl::RopeMedia> media;
    for (size_t i = 0; i < sample.size(); ++i) {  // a pad behind another token begins a medium
      const bool pad = sample[i] == config.image_token_id || sample[i] == config.video_token_id;
      if (!pad || (i > 0 && sample[i - 1] == sample[i])) continue;
      if (frames-- > 0) continue;
      frames = config.frames_apart ? grids[3 * medium] - 1 : 0;
      media.push_back({{grids[3 * medium], grids[3 * medium + 1], grids[3 * medium + 2]},
                       is_video[medium] != 0,
                       seconds[static_cast<int64_t>(medium)].item<double>()});
      ++medium;
    }
    const models::qwen_vl::RopePositions ours =
        models::qwen_vl::rope_index(sample, media, config, "sample");
    for (int64_t axis = 0; axis < 3; ++axis) {
      EXPECT_TRUE(at::tensor(ours[static_cast<size_t>(axis)], at::kInt)
                      .equal(theirs.select(0, axis).narrow(0, start, length)));
    }
    start += length;
  }
}

std::vector<std::string> cases() {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(kData)) {
    if (entry.path().extension() == ".safetensors") names.push_back(entry.path().stem().string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

INSTANTIATE_TEST_SUITE_P(Cases, QwenVlParity, ::testing::ValuesIn(cases()), [](const auto& info) {
  std::string name = info.param;
  std::replace(name.begin(), name.end(), '.', '_');
  return name;
});

// A prompt with an image at once, then token by token, all with three positions.
TEST(QwenVl, generation_with_a_cache_sees_what_the_whole_sample_sees) {
  const step::Network network = load(kData / "untied_hub");
  const Expected expected{
      checkpoint::SafetensorsFile::open(kData / "untied_hub.image.safetensors").take()};
  const c10::NoGradGuard no_grad;
  const QwenVl& model = vl(network);
  const nn::Batch whole = vl_batch(expected, model, 1);
  const at::Tensor theirs = model.hidden(whole, {}).hidden;  // [T, H]
  const int64_t T = theirs.size(0), prompt = T - 4;
  nn::MixerCache cache(1);
  for (int64_t start = 0, n = prompt; start < T; start += n, n = 1) {
    nn::Batch part;
    part.input_ids = whole.input_ids.narrow(0, start, n);
    part.position_ids = whole.position_ids.narrow(1, start, n);
    part.attention = kernels::attention_plan(std::vector<int64_t>{n}, at::kCPU);
    if (start == 0) part.media = whole.media;
    part.cache = &cache;
    cache.extend(part.attention, at::kCPU);
    const at::Tensor ours = model.hidden(part, {}).hidden, same = theirs.narrow(0, start, n);
    EXPECT_LE((ours - same).norm().item<double>(), 1e-5 * same.norm().item<double>()) << start;
  }
}

// What ranks that share weights need: each gathers, and reduces, the same ones in the same order.
TEST(QwenVl, reads_the_same_weights_in_the_same_order_where_another_rank_has_something_to_see) {
  for (const std::string model : {"untied_hub", "qwen3"}) {
    step::Network network = load(kData / model);
    const auto batch = [&](const std::string& name) {
      return vl_batch(
          Expected{checkpoint::SafetensorsFile::open(kData / (model + "." + name + ".safetensors"))
                       .take()},
          vl(network), 3.0);
    };
    nn::Batch text = batch("text");
    for (const nn::Keep keep : nn::kKeeps) {
      const auto weights_read = [&](const nn::Batch& of) {
        return parity::weights_read(network, [&] { backward(network, {of}, {.keep = keep}); });
      };
      text.media = {};
      for (const std::string& name : weights_read(text))
        EXPECT_EQ(name.find("visual."), std::string::npos) << name;
      text.media[kVision];
      const auto idle = weights_read(text);
      const std::set<std::string> read(idle.begin(), idle.end());
      for (const nn::Param& p : network.model->params().all()) EXPECT_TRUE(read.contains(p.name));
      for (const char* seeing : {"image", "images", "video", "packed"})
        EXPECT_EQ(weights_read(batch(seeing)), idle)
            << model << ", " << seeing << ", keep " << static_cast<int>(keep);
    }
  }
}

TEST(QwenVl, is_saved_under_the_names_of_the_hub_whatever_names_it_was_read_by) {
  const fs::path folder = kData / "tied_v5";
  const step::Network network = load(folder);
  const checkpoint::TensorIndex files = checkpoint::HfFolder::open(folder).take().weights().take();
  size_t renamed = 0;
  for (const checkpoint::TensorSource& source : models::sources(
           network.model->params(), network.memory,
           [&](size_t b) { return network.memory.buckets[b].local().weights; }, at::kFloat)) {
    const checkpoint::TensorView* view = nullptr;
    for (const std::string& other : network.model->params().other_names(source.name))
      view = view != nullptr ? view : files.find(other);
    ASSERT_NE(view, nullptr) << source.name;
    EXPECT_EQ(view->shape, source.shape);
    std::vector<std::byte> bytes;
    source.produce([&](std::span<const std::byte> piece) {
      bytes.insert(bytes.end(), piece.begin(), piece.end());
    });
    EXPECT_TRUE(std::ranges::equal(bytes, view->bytes)) << source.name;
    EXPECT_TRUE(source.name.starts_with("visual.") || source.name.starts_with("model.layers.") ||
                source.name.starts_with("model.embed_tokens.") ||
                source.name.starts_with("model.norm."))
        << source.name;
    ++renamed;
  }
  EXPECT_EQ(renamed, files.tensors().size());
}

TEST(QwenVl, says_what_does_not_fit_in_a_batch) {
  const step::Network network = load(kData / "untied_hub");
  const Expected expected{
      checkpoint::SafetensorsFile::open(kData / "untied_hub.image.safetensors").take()};
  const QwenVl& model = vl(network);
  const auto fault = [&](auto spoil) {
    nn::Batch batch = vl_batch(expected, model, 1);
    spoil(batch.media[kVision]);
    try {
      model.hidden(batch, {});
    } catch (const Error& e) {
      return std::string(e.what());
    }
    return std::string("ran");
  };
  EXPECT_NE(fault([](nn::MediaInput& v) { v.grids[0].h += 1; }).find("multiples of"),
            std::string::npos);
  EXPECT_NE(fault([](nn::MediaInput& v) { v.grids[0].h += 2; }).find("the grids hold 80 patches"),
            std::string::npos);
  EXPECT_NE(fault([](nn::MediaInput& v) { v.grids[0].t = -1; }).find("a grid of -1 x"),
            std::string::npos);
  EXPECT_NE(fault([](nn::MediaInput& v) {
              v.values = v.values.narrow(1, 0, 90);
            }).find("96 values a patch"),
            std::string::npos);
  EXPECT_NE(fault([](nn::MediaInput& v) {
              v.rows = v.rows.narrow(0, 1, 3);
            }).find("15 features for 3 pad tokens"),
            std::string::npos);
}

TEST(QwenVl, names_the_key_of_a_config_that_cannot_be) {
  std::ifstream in(kData / "untied_hub" / "config.json");
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
  const auto expect_named = [](const std::string& text, const char* name) {
    EXPECT_NE(text.find(name), std::string::npos) << text;
  };
  EXPECT_EQ(fault("/vision_config/fullatt_block_indexes", nlohmann::json::array({77})), "made");
  expect_named(fault("/vision_config", 3), "vision_config: expected a map");
  expect_named(fault("/vision_config/num_heads", 5), "num_heads: hidden_size 24 in 5 heads");
  expect_named(fault("/vision_config/num_heads", 4), "multiple of 4");
  expect_named(fault("/vision_config/window_size", 7), "window_size: 7 pixels hold no token");
  expect_named(fault("/vision_config/out_hidden_size", 33), "out_hidden_size: 33 is not");
  expect_named(fault("/vision_config/fullatt_block_indexes", "7"), "fullatt_block_indexes");
  expect_named(fault("/vision_config/patch_size", nlohmann::json::array({4, 4})), "patch_size");
  expect_named(fault("/vision_config/hidden_act", "gelu"), "hidden_act: not built yet");
  expect_named(fault("/image_token_id", 96), "image_token_id: 96 is outside the vocabulary of 96");
  expect_named(fault("/rope_scaling/mrope_section", nlohmann::json::array({2, 1, 2})),
               "mrope_section");
  expect_named(fault("/rope_scaling/mrope_section", nlohmann::json::array({2, "x", 2})),
               "three numbers of frequencies");
  expect_named(fault("/rope_scaling", 3), "rope_scaling: expected a map");
}

// The spec's exact count, worked out by hand for one image in a model of one block of each kind.
TEST(QwenVl, counts_the_flops_of_the_tower) {
  const step::Network network = load(kData / "untied_hub");
  const PatchGrid grid{1, 6, 10};  // 60 patches, 15 tokens; windows of 16, 16, 8, 8, 8, 4
  const double H = 24, I = 36, P = 60, M = 15;
  const double embed = 2 * 96 * H, block = 2 * (4 * H * H + 3 * H * I);
  const double windows = 2 * 16 * 16 + 3 * 8 * 8 + 4 * 4, frames = 60 * 60;
  const double attention = 4 * H * (2 * windows + frames);
  const double merger = M * 2 * (16 * H * H + 4 * H * 32);
  // patches take no gradient: the embedding is counted twice, all else three times
  const double expected = 2 * P * embed + 3 * (3 * P * block + attention + merger);
  EXPECT_DOUBLE_EQ(vl(network).tower().train_flops({&grid, 1}), expected);
  const int64_t lengths[] = {20};
  const models::Workload with{lengths, 3, {{kVision, {grid}}}}, without{lengths, 3};
  EXPECT_DOUBLE_EQ(network.model->train_flops(with) - network.model->train_flops(without),
                   expected);
  EXPECT_EQ(network.model->lmms_engine_flops(with), network.model->lmms_engine_flops(without));
}

// Qwen3-VL's: whole frames in every block, two products in the MLP, a merger for DeepStack besides.
TEST(QwenVl, counts_the_flops_of_a_tower_with_deepstack) {
  const step::Network network = load(kData / "qwen3");
  const PatchGrid grids[] = {{1, 6, 10}, {2, 4, 4}};  // an image; a video of two steps
  const double H = 16, I = 30, P = 60 + 2 * 16, M = P / 4, pairs = 60 * 60 + 2 * 16 * 16;
  const double embed = 2 * 96 * H, block = 2 * (4 * H * H + 2 * H * I);
  const double merger = M * 2 * (16 * H * H + 4 * H * 32);
  EXPECT_DOUBLE_EQ(vl(network).tower().train_flops(grids),
                   2 * P * embed + 3 * (3 * (P * block + 4 * H * pairs) + 2 * merger));
}

TEST(RopeIndex, equals_transformers_on_made_up_layouts) {
  for (const auto& [folder, file] :
       {std::pair{"untied_hub", "rope_index.json"}, std::pair{"qwen3", "rope_index_qwen3.json"}}) {
    const step::Network network = load(kData / folder);
    std::ifstream in(kData / file);
    const nlohmann::json layouts = nlohmann::json::parse(in);
    ASSERT_GE(layouts.size(), 50u);
    for (size_t i = 0; i < layouts.size(); ++i) {
      std::vector<models::qwen_vl::RopeMedia> media;
      for (const nlohmann::json& m : layouts[i]["media"]) {
        const bool video = m[0] == "video";
        media.push_back({{m[1], m[2], m[3]}, video, video ? m[4].get<double>() : 1.0});
      }
      const auto ids = layouts[i]["ids"].get<std::vector<int32_t>>();
      const models::qwen_vl::RopePositions ours =
          models::qwen_vl::rope_index(ids, media, vl(network).settings().positions, "layout");
      EXPECT_EQ(nlohmann::json(ours), layouts[i]["positions"]) << file << " " << i;
    }
  }
}

TEST(PublicShapes, every_public_size_of_qwen_vl_has_our_names_shapes_and_parameters) {
  for (const char* file : {"qwen2_5_vl.json", "qwen3_vl.json"}) {
    std::ifstream in(kFolder / "public_shapes" / file);
    const nlohmann::json sizes = nlohmann::json::parse(in);
    ASSERT_EQ(sizes.size(), 4u);
    for (const auto& [size, what] : sizes.items()) {
      SCOPED_TRACE(size);
      const auto& config = what["config"];
      const auto& text = config.contains("text_config") ? config["text_config"] : config;
      const auto model = models::model_entry(config, size).make(config, size);
      EXPECT_EQ(model->params().elements(), what["parameters"].get<int64_t>());
      std::map<std::string, std::vector<int64_t>> theirs, ours;
      for (const auto& [pattern, shape] : what["tensors"].items()) {
        const size_t place = pattern.find("{i}");
        const int64_t count = place == std::string::npos ? 1
                              : pattern.find("visual.") != std::string::npos
                                  ? config["vision_config"]["depth"].get<int64_t>()
                                  : text["num_hidden_layers"].get<int64_t>();
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
}

}  // namespace
}  // namespace lmms
