// What a checkpoint's config.json, overwrite_config and the weights make together.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <span>

#include "checkpoint/hf_folder.h"
#include "checkpoint/safetensors.h"
#include "core/files.h"
#include "tests/e2e/project.h"

namespace lmms::e2e {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

const Words kFromBase{"~model_config.load_from_config",
                      "model_config.load_from_pretrained_path=base",
                      "dataset_config.eval_dataset_path=eval.jsonl",
                      "trainer_args.eval_on_start=true",
                      "trainer_args.eval_strategy=steps",
                      "trainer_args.eval_steps=2",
                      "trainer_args.max_steps=2"};

Words and_also(Words words, const Words& more) {
  words.insert(words.end(), more.begin(), more.end());
  return words;
}

json config_of(const fs::path& folder) {
  return checkpoint::HfFolder::open(folder).take().config();
}

// The pretrained checkpoint with other keys in its config.json.
void write_base(const Project& project, const json& keys) {
  fs::copy(pretrained(), project / "base");
  json config = config_of(project / "base");
  config.update(keys);
  write_atomically(project / "base/config.json", config.dump());
}

// A head that is not the embedding.
void write_other_head(const fs::path& folder) {
  const auto weights = checkpoint::HfFolder::open(folder).take().weights().take();
  std::vector<checkpoint::TensorSource> sources;
  std::vector<float> head;
  for (const auto& [name, view] : weights.tensors()) {
    sources.push_back(checkpoint::source_of(*view));
    if (name != "model.embed_tokens.weight") continue;
    for (int64_t i = 0; i < view->elements(); ++i)
      head.push_back(0.01f * static_cast<float>(i % 7 - 3));
    sources.push_back(checkpoint::source_of("lm_head.weight", checkpoint::DType::f32, view->shape,
                                            std::as_bytes(std::span(head))));
  }
  ASSERT_FALSE(head.empty());
  checkpoint::write_safetensors(folder / "new.safetensors", sources);
  fs::rename(folder / "new.safetensors", folder / "model.safetensors");  // the old one is mapped
}

double eval_loss(const Project& project, const std::string& checkpoint, const Words& overrides) {
  const Ended ended =
      run(and_also({"eval", "config.yaml", checkpoint, "--json"}, overrides), project.here());
  EXPECT_EQ(ended.exit, 0) << ended.err;
  return json::parse(ended.out)["eval_loss"].get<double>();
}

TEST(OverwriteConfig, counts_in_the_evaluation_of_the_base_and_of_the_runs_own_checkpoints) {
  const Project project;
  write_base(project, json::object());
  const Words words = and_also(kFromBase, {"model_config.overwrite_config.rms_norm_eps=0.05"});
  project.train_to_the_end(words);
  const auto losses = column(metrics(project / "out"), "eval_loss");
  ASSERT_EQ(losses.size(), 2u);
  EXPECT_EQ(eval_loss(project, "base", words), losses[0]);
  EXPECT_EQ(eval_loss(project, "out/checkpoint-2", words), losses[1]);
  EXPECT_EQ(eval_loss(project, "out", words), losses[1]);
  EXPECT_EQ(eval_loss(project, "out", kFromBase), losses[1]);  // its config.json says it
  EXPECT_NE(eval_loss(project, "base", kFromBase), losses[0]);
}

TEST(OverwriteConfig, names_mistyped_keys_before_anything_is_trained) {
  const Project project;
  for (const char* command : {"train", "eval"}) {
    Words words{command, "config.yaml"};
    if (words[0] == "eval") words.push_back(pretrained().string());
    const Ended ended = run(and_also(words, {"model_config.overwrite_config.rms_norm_epss=0.05",
                                             "dataset_config.eval_dataset_path=eval.jsonl"}),
                            project.here());
    EXPECT_EQ(ended.exit, 2);
    EXPECT_THAT(ended.err, AllOf(HasSubstr("model_config.overwrite_config"),
                                 HasSubstr("rms_norm_epss: unknown key; did you mean "
                                           "'rms_norm_eps'?")));
  }
  EXPECT_FALSE(fs::exists(project / "out"));
}

TEST(OverwriteConfig, of_rope_scaling_counts_over_rope_parameters_of_the_file) {
  const Project project;
  write_base(project, {{"rope_theta", nullptr},
                       {"rope_parameters", {{"rope_type", "default"}, {"rope_theta", 5e5}}}});
  const Words scaled =
      and_also(kFromBase, {"model_config.overwrite_config.rope_scaling={rope_type: linear, "
                           "factor: 8, rope_theta: 500000}"});
  EXPECT_NE(eval_loss(project, "base", scaled), eval_loss(project, "base", kFromBase));
  const Ended lost =
      run(and_also({"eval", "config.yaml", "base"},
                   and_also(kFromBase, {"model_config.overwrite_config.rope_scaling={rope_type: "
                                        "linear, factor: 8}"})),
          project.here());
  EXPECT_EQ(lost.exit, 0) << lost.err;
  EXPECT_THAT(lost.err, HasSubstr("rope_theta is 10000 now, and 500000"));
}

TEST(Head, that_differs_is_trained_and_saved_untied_though_config_json_ties_it) {
  const Project project;
  write_base(project, {{"tie_word_embeddings", true}});
  write_other_head(project / "base");
  const Ended ended = project.train_to_the_end(kFromBase);
  EXPECT_THAT(ended.err, HasSubstr("lm_head.weight that is not the embedding"));
  const auto losses = column(metrics(project / "out"), "eval_loss");
  ASSERT_EQ(losses.size(), 2u);
  // the same weights under a config that says so
  const json before = config_of(project / "base");
  json untied = before;
  untied["tie_word_embeddings"] = false;
  write_atomically(project / "base/config.json", untied.dump());
  EXPECT_EQ(eval_loss(project, "base", kFromBase), losses[0]);

  EXPECT_EQ(config_of(project / "out")["tie_word_embeddings"], false);
  const auto saved = checkpoint::HfFolder::open(project / "out").take().weights().take();
  EXPECT_NE(saved.find("lm_head.weight"), nullptr);
  EXPECT_EQ(eval_loss(project, "out", kFromBase), losses[1]);
  // and it goes on
  write_atomically(project / "base/config.json", before.dump());
  const Ended more = project.train_to_the_end(and_also(kFromBase, {"trainer_args.max_steps=3"}));
  EXPECT_THAT(more.err, AllOf(HasSubstr("going on from"), Not(HasSubstr("left out"))));
}

}  // namespace
}  // namespace lmms::e2e
