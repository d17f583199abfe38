// What a run leaves behind: metrics, checkpoints, the final model.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <numeric>

#include "checkpoint/hf_folder.h"
#include "core/files.h"
#include "tests/e2e/project.h"

namespace lmms::e2e {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsSupersetOf;
using testing::UnorderedElementsAre;

std::vector<std::string> names_in(const std::filesystem::path& folder) {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(folder))
    names.push_back(entry.path().filename().string());
  return names;
}

nlohmann::json json_of(const std::filesystem::path& file) {
  return nlohmann::json::parse(read_file(file).take());
}

TEST(Run, lowers_the_loss) {
  const Project project;
  project.train_to_the_end();
  const auto losses = column(metrics(project / "out"), "loss");
  ASSERT_EQ(losses.size(), 20u);
  EXPECT_NEAR(losses.front(), std::log(4096), 0.2);  // random weights guess
  EXPECT_LT(losses.back(), 0.6 * losses.front());
}

TEST(Run, writes_the_promised_fields_of_every_step_in_order) {
  const Project project;
  project.train_to_the_end({"trainer_args.max_steps=3"});
  const std::string text = read_file(project / "out/metrics.jsonl").take();
  const auto first = nlohmann::ordered_json::parse(text.substr(0, text.find('\n')));
  std::vector<std::string> fields;
  for (const auto& [name, value] : first.items()) fields.push_back(name);
  EXPECT_THAT(fields,
              ElementsAre("step", "epoch", "loss", "grad_norm", "learning_rate", "tokens",
                          "supervised_tokens", "samples", "tokens_per_second",
                          "tokens_per_second_per_device", "mfu", "mfu_lmms_engine", "step_ms",
                          "data_wait_ms", "peak_memory_bytes", "skipped_samples"));
  const auto rows = metrics(project / "out");
  EXPECT_THAT(column(rows, "step"), ElementsAre(1, 2, 3));
  EXPECT_THAT(column(rows, "epoch"), ElementsAre(0.1, 0.2, 0.3));
  EXPECT_THAT(column(rows, "samples"), ElementsAre(4, 4, 4));
  for (const auto& row : rows) {
    EXPECT_GT(row["tokens"], row["supervised_tokens"]);
    EXPECT_GT(row["grad_norm"], 0.0);
    EXPECT_GT(row["mfu"], 0.0);
    EXPECT_LE(row["data_wait_ms"], row["step_ms"]);
    EXPECT_GT(row["peak_memory_bytes"], 10 << 20);
  }
}

TEST(Run, counts_every_sample_of_its_epochs_once) {
  const Project project;
  project.train_to_the_end({"trainer_args.per_device_train_batch_size=7"});
  const auto samples = column(metrics(project / "out"), "samples");
  // 40 rows in steps of 7: five whole ones, and the last, smaller one is trained too
  EXPECT_THAT(samples, ElementsAre(7, 7, 7, 7, 7, 5, 7, 7, 7, 7, 7, 5));
}

TEST(Run, leaves_out_smaller_steps_where_drop_last_says_so) {
  const Project project;
  project.train_to_the_end(
      {"trainer_args.per_device_train_batch_size=7", "trainer_args.dataloader_drop_last=true"});
  EXPECT_THAT(column(metrics(project / "out"), "samples"),
              ElementsAre(7, 7, 7, 7, 7, 7, 7, 7, 7, 7));
}

TEST(Run, logs_in_the_rhythm_that_was_asked_for) {
  const Project project;
  const auto steps = [&](const Words& words) {
    Words all{"trainer_args.resume_from_checkpoint=false", "trainer_args.save_strategy=no"};
    all.insert(all.end(), words.begin(), words.end());
    project.train_to_the_end(all);
    return column(metrics(project / "out"), "step");
  };
  EXPECT_THAT(steps({"trainer_args.logging_steps=6"}), ElementsAre(6, 12, 18));
  EXPECT_THAT(steps({"trainer_args.logging_steps=6", "trainer_args.logging_first_step=true"}),
              ElementsAre(1, 6, 12, 18));
  EXPECT_THAT(steps({"trainer_args.logging_steps=0.25"}), ElementsAre(5, 10, 15, 20));
  EXPECT_THAT(steps({"trainer_args.logging_strategy=epoch"}), ElementsAre(10, 20));
  EXPECT_THAT(steps({"trainer_args.logging_strategy=no"}), ElementsAre());
}

TEST(Run, warms_up_as_far_as_it_comes) {
  const Project project;
  project.train_to_the_end({"trainer_args.max_steps=3", "trainer_args.warmup_steps=100",
                            "trainer_args.learning_rate=1e-3"});
  EXPECT_EQ(column(metrics(project / "out"), "learning_rate"),
            (std::vector<double>{0, 1e-3 * 0.01, 1e-3 * 0.02}));
}

TEST(Run, writes_into_the_home_folder_that_a_tilde_means) {
  const Project project;
  Surroundings here = project.here();
  here.variables["HOME"] = (project / "home").string();
  const Words words =
      Project::command({"trainer_args.output_dir=~/out", "trainer_args.max_steps=1"});
  const Ended ended = run(words, here);
  EXPECT_EQ(ended.exit, 0) << ended.err;
  EXPECT_TRUE(std::filesystem::exists(project / "home/out/model.safetensors"));
  EXPECT_FALSE(std::filesystem::exists(project / "~"));
}

TEST(Run, names_at_the_start_what_has_no_effect) {
  const Project project;
  const Ended ended = project.train_to_the_end(
      {"trainer_args.max_steps=1", "dataset_config.packing_strategy=best_fit",
       "+model_config.extra_kwargs.trust_remote_code=true"});
  EXPECT_THAT(ended.err, HasSubstr("without effect: "));
  EXPECT_THAT(ended.err, HasSubstr("dataset_config.packing_strategy (without packing: true)"));
  EXPECT_THAT(ended.err, HasSubstr("model_config.extra_kwargs.trust_remote_code"));
}

TEST(Run, fills_the_output_folder_as_promised) {
  const Project project;
  project.train_to_the_end();
  EXPECT_THAT(
      names_in(project / "out"),
      UnorderedElementsAre("checkpoint-5", "checkpoint-10", "checkpoint-15", "checkpoint-20",
                           "config.json", "config.resolved.yaml", "finished.json", "journal.jsonl",
                           "metrics.jsonl", "report.html", "model.safetensors", "tokenizer.json",
                           "tokenizer_config.json", "train.log"));
  EXPECT_THAT(names_in(project / "out/checkpoint-10"),
              UnorderedElementsAre("config.json", "model.safetensors", "resume", "tokenizer.json",
                                   "tokenizer_config.json"));
  EXPECT_EQ(weights(project / "out"), weights(project / "out/checkpoint-20"));
  EXPECT_NE(weights(project / "out"), weights(project / "out/checkpoint-15"));
}

TEST(Run, reads_its_resolved_config_as_the_same_config) {
  const Project project;
  project.train_to_the_end({"trainer_args.max_steps=3", "dataset_config.packing=true"});
  const std::string resolved = read_file(project / "out/config.resolved.yaml").take();
  project.write("again.yaml", resolved);
  const Ended second_run = run({"train", "again.yaml"}, project.here());
  EXPECT_EQ(second_run.exit, 0) << second_run.err;
  EXPECT_THAT(second_run.err, HasSubstr("finished"));
  EXPECT_EQ(read_file(project / "out/config.resolved.yaml").take(), resolved);
}

/// Names of the tensors that transformers gives this Qwen3.
std::vector<std::string> tensor_names() {
  std::vector<std::string> names{"model.embed_tokens.weight", "model.norm.weight"};
  for (const std::string layer : {"model.layers.0.", "model.layers.1."}) {
    for (const char* name :
         {"input_layernorm.weight", "post_attention_layernorm.weight", "mlp.gate_proj.weight",
          "mlp.up_proj.weight", "mlp.down_proj.weight", "self_attn.q_proj.weight",
          "self_attn.k_proj.weight", "self_attn.v_proj.weight", "self_attn.o_proj.weight",
          "self_attn.q_norm.weight", "self_attn.k_norm.weight"}) {
      names.push_back(layer + name);
    }
  }
  return names;
}

struct SavedAs {
  Words words;
  checkpoint::DType dtype;
  const char* name;
};

class SavedModel : public testing::TestWithParam<SavedAs> {};

TEST_P(SavedModel, is_a_hugging_face_folder_in_the_dtype_that_was_asked_for) {
  const Project project;
  Words words = GetParam().words;
  words.push_back("trainer_args.max_steps=2");
  project.train_to_the_end(words);
  for (const char* name : {"out", "out/checkpoint-2"}) {
    const auto folder = checkpoint::HfFolder::open(project / name).take();
    EXPECT_EQ(folder.config()["model_type"], "qwen3");
    EXPECT_THAT(folder.config().dump(), HasSubstr(std::string("dtype\":\"") + GetParam().name));
    const auto index = folder.weights().take();
    std::vector<std::string> names;
    for (const auto& [tensor, view] : index.tensors()) {
      names.emplace_back(tensor);
      EXPECT_EQ(view->dtype, GetParam().dtype) << tensor;
    }
    EXPECT_THAT(names, testing::UnorderedElementsAreArray(tensor_names()));
    EXPECT_THAT(index.find("model.embed_tokens.weight")->shape, ElementsAre(4096, 32));
    EXPECT_THAT(index.find("model.layers.1.self_attn.k_proj.weight")->shape, ElementsAre(16, 32));
  }
}

INSTANTIATE_TEST_SUITE_P(
    DTypes, SavedModel,
    testing::Values(
        SavedAs{{}, checkpoint::DType::f32, "float32"},
        SavedAs{{"trainer_args.bf16=true"}, checkpoint::DType::bf16, "bfloat16"},
        SavedAs{{"trainer_args.bf16=true", "trainer_args.save_dtype=float32"},
                checkpoint::DType::f32,
                "float32"},
        SavedAs{{"trainer_args.save_dtype=bfloat16"}, checkpoint::DType::bf16, "bfloat16"}));

TEST(Model, keeps_the_files_that_its_checkpoint_came_with) {
  const Project project;
  project.train_to_the_end({"trainer_args.max_steps=1", "~model_config.load_from_config",
                            "model_config.load_from_pretrained_path=" + pretrained().string()});
  // the tokenizer is another folder's; what belongs to the model comes from the model's
  EXPECT_EQ(json_of(project / "out/generation_config.json")["temperature"], 0.6);
  EXPECT_EQ(json_of(project / "out/checkpoint-1/generation_config.json")["temperature"], 0.6);
  EXPECT_EQ(read_file(project / "out/tokenizer.json").take(),
            read_file(LMMS_SOURCE_DIR "/examples/chat_tiny/tokenizer/tokenizer.json").take());
}

TEST(Model, is_a_start_for_the_next_run) {
  const Project project;
  project.train_to_the_end();
  project.train_to_the_end({"trainer_args.max_steps=1", "trainer_args.output_dir=next",
                            "~model_config.load_from_config",
                            "model_config.load_from_pretrained_path=out"});
  const double last = column(metrics(project / "out"), "loss").back();
  EXPECT_NEAR(column(metrics(project / "next"), "loss").front(), last, 0.5 * last);
}

TEST(Model, follows_overwrite_config) {
  const Project project;
  const Ended ended =
      project.train({"trainer_args.max_steps=1", "~model_config.load_from_config",
                     "model_config.load_from_pretrained_path=" + pretrained().string(),
                     "+model_config.overwrite_config.rope_theta=500000.0",
                     "+model_config.overwrite_config.max_position_embeddings=1024"});
  ASSERT_EQ(ended.exit, 0) << ended.err;
  const nlohmann::json config = json_of(project / "out/config.json");
  EXPECT_EQ(config["rope_theta"], 500000.0);
  EXPECT_EQ(config["max_position_embeddings"], 1024);
  Project plain;
  plain.train_to_the_end({"trainer_args.max_steps=1", "~model_config.load_from_config",
                          "model_config.load_from_pretrained_path=" + pretrained().string()});
  EXPECT_NE(column(metrics(project / "out"), "loss"), column(metrics(plain / "out"), "loss"));
}

TEST(Run, shows_what_it_is_about_to_do) {
  const Project project;
  const Ended ended =
      project.train_to_the_end({"trainer_args.max_steps=1", "trainer_args.use_liger_kernel=true",
                                "trainer_args.print_batch_input_steps=1"});
  for (const char* text :
       {"model ", "qwen3", "149,728 trained, 0 frozen", "train.jsonl (jsonl, 40 rows)",
        "rows a step", "AdamW", "use_liger_kernel", "attention"}) {
    EXPECT_THAT(ended.err, HasSubstr(text));
  }
  EXPECT_THAT(ended.err, HasSubstr("<|im_start|>assistant"));  // the printed row
  EXPECT_EQ(ended.out, "");
}

}  // namespace
}  // namespace lmms::e2e
