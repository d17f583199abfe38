// The forms that transformers reads a checkpoint in: names of tensors, heads, rotary keys, and the
// keys of config.json that bear on a model.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "checkpoint/hf_folder.h"
#include "core/error.h"
#include "data/data_testing.h"
#include "models/llama/llama.h"
#include "models/llava_onevision/config.h"
#include "models/overwrite.h"
#include "models/qwen/qwen.h"
#include "models/qwen_vl/config.h"
#include "models/registry_testing.h"
#include "models/structure.h"
#include "models/tensor_io.h"
#include "nn/rotary.h"
#include "parity_testing.h"

namespace lmms {
namespace {

using nlohmann::json;
using testing::HasSubstr;
using testing::Not;

namespace fs = std::filesystem;
const fs::path kData = fs::path(LMMS_SOURCE_DIR) / "tests/parity/data";

json stored(const std::string& file) {
  std::ifstream in(kData / file);
  return json::parse(in);
}

std::unique_ptr<models::Model> make(const json& config) {
  return models::model_entry(config, "config.json").make(config, "config.json");
}

nn::DecoderConfig decoder_config(const json& config) {
  const std::string type = config["model_type"], where = "config.json";
  const models::ConfigReader reader(config, where);
  if (type == "llama") return models::llama::read_config(reader);
  if (type == "qwen2") return models::qwen::read_config(reader, models::qwen::Generation::qwen2);
  if (type == "qwen3") return models::qwen::read_config(reader, models::qwen::Generation::qwen3);
  if (type == "llava_onevision") return models::llava_onevision::read_config(config, where).text;
  return models::qwen_vl::read_config(config, where,
                                      type == "qwen3_vl" ? models::qwen_vl::Generation::qwen3
                                                         : models::qwen_vl::Generation::qwen2_5)
      .text;
}

TEST(RotaryKeys, give_the_frequencies_of_transformers_or_are_refused_where_it_fails) {
  const json cases = stored("rope.json");
  ASSERT_GE(cases.size(), 50u);
  for (const json& one : cases) {
    SCOPED_TRACE(one["name"].get<std::string>());
    // there it is read by nobody; here that is said
    const bool idle = one["name"] == "vl flat, original at the top";
    if (one.contains("fails") || idle) {
      EXPECT_THROW(decoder_config(one["config"]), Error);
      continue;
    }
    const nn::DecoderConfig config = decoder_config(one["config"]);
    const nn::Rotary rotary(config.rope, config.head_dim);
    EXPECT_NEAR(rotary.attention_scaling(), one["scaling"].get<double>(), 1e-12);
    const auto theirs = one["inverse"].get<std::vector<float>>();
    ASSERT_EQ(rotary.inverse_frequencies().size(), theirs.size());
    for (size_t i = 0; i < theirs.size(); ++i)
      EXPECT_NEAR(rotary.inverse_frequencies()[i], theirs[i], 1e-6 * theirs[i]) << i;
  }
}

std::vector<std::string> hub_names(const models::Model& model) {
  std::vector<std::string> names;
  for (const nn::Param& p : model.params().all())
    for (const nn::Part& part : p.parts) names.push_back(part.hub_name);
  return names;
}

// The hub name of the one tensor that files may call so.
std::string read_as(const models::Model& model, const std::string& name) {
  std::string found;
  for (const std::string& hub : hub_names(model)) {
    const auto others = model.params().other_names(hub);
    if (hub != name && std::find(others.begin(), others.end(), name) == others.end()) continue;
    EXPECT_TRUE(found.empty()) << name << " is " << found << " and " << hub;
    found = hub;
  }
  return found;
}

TEST(TensorNames, that_transformers_reads_name_the_same_tensor_here) {
  int checked = 0;
  const json families = stored("tensor_names.json");
  for (const auto& [type, family] : families.items()) {
    SCOPED_TRACE(type);
    const auto model = make(family["config"]);
    for (const auto& [theirs, names] : family["names"].items()) {
      const std::string hub = read_as(*model, theirs);
      EXPECT_FALSE(hub.empty()) << theirs;
      for (const json& name : names) {
        EXPECT_EQ(read_as(*model, name), hub) << "of " << theirs;
        ++checked;
      }
    }
  }
  EXPECT_GE(checked, 100);
}

TEST(TensorNames, that_transformers_writes_are_all_read) {
  const json families = stored("tensor_names.json");
  for (const auto& [type, family] : families.items()) {
    const auto model = make(family["config"]);
    const size_t whole = hub_names(*model).size();
    for (const auto& [what, names] : family["saved"].items()) {
      SCOPED_TRACE(type + ", " + what);
      std::set<std::string> found;
      for (const json& name : names) found.insert(read_as(*model, name));
      EXPECT_FALSE(found.contains(""));
      const bool headless = what == "fresh base" || what == "base of whole";
      EXPECT_EQ(found.size(), headless ? whole - 1 : whole);
    }
  }
}

// What the logits are made with.
at::Tensor head_of(const models::Model& model) {
  const nn::ParamTable& params = model.params();
  const nn::Param* own = params.find_part(params.head()->name);
  return (own != nullptr ? own : params.find_part(params.head()->embedding))->leaf();
}

// A checkpoint of a family with another head, the embedding as head, or the embedding under the
// head's name alone.
enum class Head { other, equal, alone };

struct Family {
  const char* folder;
  const char* flag_at;  // where the config ties: "" or "text_config"
};

void write_with_head(const fs::path& folder, const Family& family, Head head) {
  const checkpoint::HfFolder hf = checkpoint::HfFolder::open(kData / family.folder).take();
  json config = hf.config();
  config["tie_word_embeddings"] = false;
  if (*family.flag_at != 0) {
    config[family.flag_at]["tie_word_embeddings"] = true;
  } else {
    config["tie_word_embeddings"] = true;
  }
  const auto tied = make(config);
  ASSERT_TRUE(tied->params().tied()) << family.folder;
  const nn::ParamTable::Head names = *tied->params().head();
  const checkpoint::TensorIndex weights = hf.weights().take();
  std::vector<checkpoint::TensorSource> sources;
  std::vector<float> other;
  for (const auto& [name, view] : weights.tensors()) {
    if (std::string(name).ends_with("lm_head.weight")) continue;
    const bool embedding = std::string(name).ends_with("embed_tokens.weight");
    if (embedding && head != Head::other) {
      sources.push_back(checkpoint::source_of(names.name, view->dtype, view->shape, view->bytes));
    } else if (embedding) {
      other.assign(static_cast<size_t>(view->elements()), 0.5f);
      sources.push_back(checkpoint::source_of(names.name, checkpoint::DType::f32, view->shape,
                                              std::as_bytes(std::span(other))));
    }
    if (!embedding || head != Head::alone) sources.push_back(checkpoint::source_of(*view));
  }
  fs::create_directories(folder);
  std::ofstream(folder / "config.json") << config;
  checkpoint::write_safetensors(folder / "model.safetensors", sources);
}

class Heads : public testing::TestWithParam<Family> {
 protected:
  data::TempFolder temporary_;
  fs::path write(Head head) {
    const fs::path folder = temporary_.path("model");
    write_with_head(folder, GetParam(), head);
    return folder;
  }
};

TEST_P(Heads, that_differ_from_the_embedding_are_untied_whatever_the_config_says) {
  const step::Network network = parity::load(write(Head::other));
  EXPECT_FALSE(network.model->params().tied());
  EXPECT_TRUE((head_of(*network.model) == 0.5).all().item<bool>());
  // what is saved says so, wherever a reader looks
  const json& config = network.model->config();
  EXPECT_EQ(config["tie_word_embeddings"], false);
  if (config.contains("text_config")) {
    EXPECT_NE(config["text_config"].value("tie_word_embeddings", json()), json(true));
  }
  EXPECT_FALSE(make(config)->params().tied());
}

TEST_P(Heads, that_equal_the_embedding_stay_tied_and_are_not_left_over) {
  const fs::path folder = write(Head::equal);
  const checkpoint::HfFolder hf = checkpoint::HfFolder::open(folder).take();
  const checkpoint::TensorIndex weights = hf.weights().take();
  const auto model = models::make_structure(models::built_in_models(), hf.config(), "c", &weights);
  EXPECT_TRUE(model->params().tied());
  nn::ModelMemory memory = nn::allocate(model->params(), {});
  EXPECT_THAT(models::load_weights(model->params(), memory, weights, "c"),
              Not(testing::Contains(model->params().head()->name)));
}

TEST_P(Heads, alone_are_the_embedding_too) {
  const step::Network network = parity::load(write(Head::alone));
  const step::Network usual = parity::load(write(Head::equal));
  EXPECT_TRUE(head_of(*network.model).equal(head_of(*usual.model)));
}

TEST_P(Heads, that_differ_are_never_dropped_by_a_model_that_ties) {
  const checkpoint::HfFolder hf = checkpoint::HfFolder::open(write(Head::other)).take();
  const auto model = make(hf.config());
  nn::ModelMemory memory = nn::allocate(model->params(), {});
  EXPECT_THROW(models::load_weights(model->params(), memory, hf.weights().take(), "c"), Error);
}

INSTANTIATE_TEST_SUITE_P(
    Families, Heads,
    testing::Values(Family{"llama/tied", ""}, Family{"qwen_text/qwen2_tied", ""},
                    Family{"qwen_text/qwen3_tied_fp16", ""}, Family{"qwen_vl/untied_hub", ""},
                    Family{"qwen_vl/tied_v5", ""}, Family{"qwen_vl/tied_v5", "text_config"},
                    Family{"qwen_vl/qwen3_tied", ""}, Family{"llava_onevision/hub", ""},
                    Family{"llava_onevision/v5", ""},
                    Family{"llava_onevision/hub", "text_config"}));

TEST(BaseModels, without_a_head_are_refused_unless_the_embedding_is_it) {
  const json families = stored("tensor_names.json");
  for (const auto& [type, family] : families.items()) {
    SCOPED_TRACE(type);
    const data::TempFolder folder;
    const auto model = make(family["config"]);
    std::vector<checkpoint::TensorSource> sources;
    const std::vector<float> zeros(1 << 16);
    for (const json& name : family["saved"]["fresh base"]) {
      const std::string hub = read_as(*model, name);
      for (const nn::Param& p : model->params().all()) {
        for (const nn::Part& part : p.parts) {
          if (part.hub_name != hub) continue;
          size_t n = 1;
          for (const int64_t size : part.hub_shape) n *= static_cast<size_t>(size);
          sources.push_back(checkpoint::source_of(name, checkpoint::DType::f32, part.hub_shape,
                                                  std::as_bytes(std::span(zeros).first(n))));
        }
      }
    }
    const fs::path file = folder.path("model.safetensors");
    checkpoint::write_safetensors(file, sources);
    const auto weights = checkpoint::TensorIndex::open({file}).take();
    nn::ModelMemory memory = nn::allocate(model->params(), {});
    try {
      models::load_weights(model->params(), memory, weights, "folder");
      FAIL() << "loaded";
    } catch (const Error& e) {
      EXPECT_THAT(e.what(), HasSubstr("lm_head.weight is missing"));
      EXPECT_THAT(e.what(), HasSubstr("overwrite_config.tie_word_embeddings=true"));
    }
    json config = family["config"];
    config["tie_word_embeddings"] = true;
    config["architectures"] = {"Base"};
    const auto tied = models::make_structure(models::built_in_models(), config, "c", &weights);
    nn::ModelMemory tied_memory = nn::allocate(tied->params(), {});
    EXPECT_TRUE(models::load_weights(tied->params(), tied_memory, weights, "folder").empty());
    EXPECT_EQ(tied->config()["architectures"][0], models::model_entry(config, "c").architecture);
  }
}

// What a key of overwrite_config comes to.
std::string said_of(const json& config, const std::string& path, const json& value) {
  json overwrite;
  const size_t dot = path.find('.');
  if (dot == std::string::npos) {
    overwrite[path] = value;
  } else {
    overwrite[path.substr(0, dot)][path.substr(dot + 1)] = value;
  }
  try {
    const auto model = make(models::overwritten(config, overwrite, "overwrite_config"));
    models::check_overwrite(overwrite, *model, "overwrite_config");
    return "";
  } catch (const Error& e) {
    return e.what();
  }
}

TEST(ConfigKeys, that_change_the_logits_of_transformers_are_read_or_refused) {
  const json folders = stored("config_keys.json");
  for (const auto& [folder, keys] : folders.items()) {
    const json config = stored(folder + "/config.json");
    const auto model = make(config);
    for (const auto& [path, what] : keys.items()) {
      SCOPED_TRACE(folder + ": " + path);
      const std::string said = said_of(config, path, what["value"]);
      if (what["field"]) {
        EXPECT_THAT(said, Not(HasSubstr("unknown key")));
      }
      const bool counts = model->keys_read().contains(path) || !said.empty();
      EXPECT_TRUE(counts || what["does"] != "changes");
    }
  }
}

}  // namespace
}  // namespace lmms
