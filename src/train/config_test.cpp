#include "train/config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <random>

#include "core/error.h"
#include "core/files.h"
#include "core/format.h"
#include "data/mixture.h"
#include "train/config_testing.h"

namespace lmms::train {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

const std::string kSource = LMMS_SOURCE_DIR;

TEST_F(TrainConfigTest, a_short_file_leaves_everything_else_at_its_default) {
  const LoadedConfig loaded = load(right());
  EXPECT_THAT(
      diff_from_defaults(loaded.config),
      ElementsAre("dataset_config.dataset_type: vision", "dataset_config.dataset_format: jsonl",
                  "dataset_config.dataset_path: a.jsonl",
                  "dataset_config.processor_config.processor_type: qwen2",
                  "model_config.load_from_pretrained_path: model"));
  EXPECT_THAT(loaded.notices, IsEmpty());
}

TEST_F(TrainConfigTest, every_key_of_the_python_project_is_known_and_its_default_accepted) {
  const std::vector<std::string> words = {kSource + "/tests/fixtures/config/python_keys.yaml"};
  const LoadedConfig loaded = load_train_config(words);
  // What a file full of Python defaults changes: the learning rate and its kin are the same,
  // logging is not (every step).
  EXPECT_THAT(diff_from_defaults(loaded.config),
              testing::IsSupersetOf(
                  {"trainer_args.logging_steps: 500.0", "trainer_args.report_to: [none]"}));
  for (const std::string& line : diff_from_defaults(loaded.config)) {
    EXPECT_THAT(line, Not(HasSubstr("learning_rate"))) << line;
    EXPECT_THAT(line, Not(HasSubstr("adam"))) << line;
    EXPECT_THAT(line, Not(HasSubstr("epochs"))) << line;
  }
  EXPECT_THAT(loaded.notices, IsEmpty());  // who spells out every default asks for nothing
}

TEST_F(TrainConfigTest, the_examples_are_read) {
  const std::vector<std::string> words = {kSource + "/examples/qwen2_5_llm/example_config.yaml"};
  const TrainConfig qwen2_5 = load_train_config(words).config;
  EXPECT_EQ(qwen2_5.trainer.optimizer.learning_rate, 2e-4);
  EXPECT_EQ(qwen2_5.trainer.schedule.lr_scheduler_type, "cosine");
  EXPECT_EQ(qwen2_5.trainer.schedule.warmup_ratio, 0.1);
  EXPECT_EQ(qwen2_5.dataset.datasets.at(0).path, "data/chats.parquet");
  EXPECT_EQ(qwen2_5.trainer.gradient_checkpointing, GradientCheckpointing::automatic);
  EXPECT_EQ(qwen2_5.trainer.layout.count("use_liger_kernel"), 1U);
  const std::vector<std::string> other = {kSource + "/examples/qwen3_llm/example_config.yaml"};
  const TrainConfig qwen3 = load_train_config(other).config;
  EXPECT_TRUE(qwen3.dataset.packing);
  EXPECT_EQ(qwen3.dataset.packing_strategy, data::PackingStrategy::best_fit);
  const std::vector<std::string> quick = {kSource + "/examples/quickstart/config.yaml"};
  EXPECT_EQ(*load_train_config(quick).config.model.load_from_config.find("model_type")->string(),
            "qwen2_5_vl");
}

TEST_F(TrainConfigTest, the_resolved_config_reads_back_equal) {
  std::vector<std::string> texts;
  for (const char* name :
       {"examples/qwen2_5_llm/example_config.yaml", "examples/qwen3_llm/example_config.yaml",
        "examples/qwen2_5_vl/example_config.yaml", "examples/qwen3_vl/example_config.yaml",
        "examples/llava_onevision/example_config.yaml", "examples/llama/example_config.yaml",
        "examples/quickstart/config.yaml", "examples/chat_tiny/config.yaml",
        "examples/diffusion_language_model/quickstart.yaml",
        "examples/diffusion_language_model/example_config.yaml",
        "tests/fixtures/config/python_keys.yaml"}) {
    texts.push_back(*read_file(kSource + "/" + name));
  }
  texts.push_back(
      right("{learning_rate: 1e-7, resume_from_checkpoint: some/checkpoint-3, save_dtype: float16, "
            "report_to: [],"
            " gradient_checkpointing: auto, freeze_modules: [a.b, 'no'], save_total_limit: 2, "
            "eval_steps: 0.25,"
            " lr_scheduler_type: warmup_stable_decay, lr_scheduler_kwargs: {num_decay_steps: 3, "
            "decay_type: 1-sqrt},"
            " deepspeed: {zero_optimization: {stage: 3}}, run_name: '007', max_steps: 9}",
            "  on_overlong: truncate\n  max_length: 77\n  extra_kwargs: {packing_kwargs: "
            "{num_buckets: 3}}\n",
            "compat: [labels, decay]\nmonkey_patch: [liger]\n"));
  for (const std::string& text : texts) {
    const LoadedConfig loaded = load(text);
    const std::string written = write_resolved(loaded.config);
    EXPECT_TRUE(load(written).config == loaded.config) << written;
  }
}

TEST_F(TrainConfigTest, the_command_line_comes_last_and_maps_merge) {
  const LoadedConfig loaded =
      load(right("{learning_rate: 1e-3, max_steps: 7}"),
           {"trainer_args.learning_rate=2e-3", "+trainer_args.seed=1", "~trainer_args.max_steps",
            "dataset_config.packing=true", "model_config.overwrite_config={rope_theta:1e6}"});
  EXPECT_EQ(loaded.config.trainer.optimizer.learning_rate, 2e-3);
  EXPECT_EQ(loaded.config.trainer.seed, 1);
  EXPECT_EQ(loaded.config.trainer.max_steps, -1);
  EXPECT_TRUE(loaded.config.dataset.packing);
  EXPECT_EQ(*loaded.config.model.overwrite_config.find("rope_theta"), config::Value{1e6});
  EXPECT_EQ(loaded.where("trainer_args.learning_rate"), "command line: trainer_args.learning_rate");
  EXPECT_EQ(loaded.where("dataset_config.dataset_path"), "a.yaml:7:3: dataset_config.dataset_path");
  EXPECT_EQ(loaded.where("trainer_args.bf16"), "trainer_args.bf16");
}

TEST_F(TrainConfigTest, a_whole_config_fits_on_the_command_line) {
  const std::vector<std::string> words = {
      "dataset_config={dataset_type:vision,dataset_format:yaml,datasets:[{path:/p/"
      "a.jsonl,weight:2}]}",
      "dataset_config.processor_config={processor_type:qwen2}",
      "model_config.load_from_pretrained_path=m"};
  EXPECT_EQ(load_train_config(words).config.dataset.datasets.at(0).weight, 2);
}

TEST_F(TrainConfigTest, config_yaml_names_the_file_as_in_the_python_project) {
  write("b.yaml", right());
  for (const char* word : {"config_yaml=b.yaml", "+config_yaml=b.yaml", "b.yaml"}) {
    const std::vector<std::string> words = {"trainer_args.seed=3", word};
    EXPECT_EQ(load_train_config(words).config.trainer.seed, 3);
  }
}

TEST_F(TrainConfigTest, a_limit_of_checkpoints_of_nothing_or_less_is_none) {
  EXPECT_EQ(load(right("{save_total_limit: 2}")).config.trainer.save_total_limit, 2);
  for (const char* limit : {"0", "-1", "null"}) {
    const LoadedConfig loaded = load(right(fmt::format("{{save_total_limit: {}}}", limit)));
    EXPECT_EQ(loaded.config.trainer.save_total_limit, std::nullopt) << limit;
  }
}

TEST_F(TrainConfigTest, arguments_come_as_json_text_too_and_layouts_from_a_file) {
  write("fsdp.json", R"({"fsdp_reshard_after_forward": true, "cpu_offload": false})");
  const LoadedConfig loaded = load(right(
      "{lr_scheduler_type: cosine_with_min_lr, lr_scheduler_kwargs: '{\"min_lr_rate\": 0.1}', "
      "gradient_checkpointing_kwargs: '{\"use_reentrant\": false}', fsdp_config: fsdp.json, "
      "accelerator_config: '{\"split_batches\": true}', liger_kernel_config: '{\"rope\": "
      "false}'}"));
  const TrainerArgs& args = loaded.config.trainer;
  EXPECT_EQ(args.schedule.lr_scheduler_kwargs.min_lr_ratio, 0.1);
  EXPECT_EQ(*args.layout.at("fsdp_config").find("fsdp_reshard_after_forward"), config::Value{true});
  EXPECT_EQ(*args.layout.at("liger_kernel_config").find("rope"), config::Value{false});
  EXPECT_TRUE(load(write_resolved(loaded.config)).config == loaded.config);  // without the file
}

TEST_F(TrainConfigTest, a_tilde_is_the_home_folder_in_every_path) {
  fs::create_directories("home");
  write("home/ds.json", "{}");
  write("home/m.yaml", "datasets: [{path: ~/x.jsonl, data_folder: ~/media}]\n");
  write("home/c.yaml",
        "model_config: {load_from_pretrained_path: ~/model}\n"
        "trainer_args: {output_dir: ~/out, resume_from_checkpoint: ~/out/checkpoint-3, deepspeed: "
        "~/ds.json}\n"
        "dataset_config:\n"
        "  dataset_type: vision\n"
        "  dataset_format: yaml\n"
        "  processor_config: {processor_type: qwen2, processor_name: ~/tokenizer}\n"
        "  datasets: [{path: ~/a.jsonl, data_folder: ~}, {path: b.jsonl, data_folder: ~/m}]\n"
        "  eval_dataset_path: ~/e.jsonl\n");
  const std::string home = (fs::current_path() / "home").string();
  for (const char* word : {"~/c.yaml", "config_yaml=~/c.yaml"}) {
    const LoadedConfig loaded = load_train_config(std::vector<std::string>{word}, home);
    const TrainConfig& c = loaded.config;
    EXPECT_EQ(loaded.file, home + "/c.yaml");
    EXPECT_EQ(c.model.load_from_pretrained_path, home + "/model");
    EXPECT_EQ(c.trainer.output_dir, home + "/out");
    EXPECT_EQ(c.trainer.resume_from_checkpoint.path, home + "/out/checkpoint-3");
    EXPECT_EQ(c.dataset.processor.processor_name, home + "/tokenizer");
    EXPECT_EQ(c.dataset.datasets.at(0).path, home + "/a.jsonl");
    EXPECT_EQ(c.dataset.datasets.at(0).data_folder, "");  // YAML's null
    EXPECT_EQ(c.dataset.datasets.at(1).data_folder, home + "/m");
    EXPECT_EQ(c.dataset.eval_dataset_path, home + "/e.jsonl");
  }
  data::DataConfig mixture;
  mixture.dataset_path = "home/m.yaml";
  mixture.home = home;
  const auto sources = data::sources_of(mixture).take();
  EXPECT_EQ(sources.at(0).path, home + "/x.jsonl");
  EXPECT_EQ(sources.at(0).data_folder, home + "/media");

  EXPECT_EQ(faults(right("{output_dir: ~/out}")),
            "a.yaml:1:28: trainer_args.output_dir: '~/out': HOME is not set; expected a path "
            "without ~");
}

TEST_F(TrainConfigTest, says_what_is_wrong_with_the_words) {
  write("b.yaml", right());
  EXPECT_EQ(faults_of_words({}), "no config\n    fix: lmms train CONFIG.yaml [KEY=VALUE ...]");
  EXPECT_EQ(faults_of_words({"b.yaml", "c.yaml"}),
            "command line: 'c.yaml' is a second config after 'b.yaml'; expected one, and words "
            "KEY=VALUE");
  EXPECT_EQ(faults_of_words({"config_yaml="}), "command line: config_yaml= names no file");
  EXPECT_THAT(faults_of_words({"none.yaml"}), HasSubstr("none.yaml"));
  EXPECT_EQ(faults_of_words({"b.yaml", "trainer_args.lerning_rate=1", "trainer_args.seed=x"}),
            "command line: trainer_args.lerning_rate: unknown key; did you mean 'learning_rate'?\n"
            "command line: trainer_args.seed: got 'x'; expected a whole number >= 0");
}

TEST_F(TrainConfigTest, refuses_a_file_that_is_no_config) {
  EXPECT_EQ(
      faults("- type: trainer\n- type: server\n"),
      "a.yaml:1:1: got a list; expected a map with dataset_config, model_config and trainer_args");
  EXPECT_EQ(faults("just text\n"),
            "a.yaml:1:1: got 'just text'; expected a map with dataset_config, model_config and "
            "trainer_args");
  EXPECT_EQ(faults(""),
            "a.yaml:1:1: got nothing (null); expected a map with dataset_config, model_config and "
            "trainer_args");
  EXPECT_EQ(
      faults("a: [\n"),
      "a.yaml:2:1: no YAML: end of sequence flow not found; a [ or { before it is not closed");
  EXPECT_EQ(faults("trainer_type: hf_trainer\n"),
            "a.yaml:1:1: dataset_config: missing; expected a map\na.yaml:1:1: model_config: "
            "missing; expected a map");
}

TEST_F(TrainConfigTest, the_old_list_layout_is_read) {
  const LoadedConfig loaded = load(
      "- type: trainer\n"
      "  config:\n"
      "    trainer_type: hf_trainer\n"
      "    dataset_config: {dataset_type: vision, dataset_format: json, dataset_path: a, "
      "processor_config: "
      "{processor_type: qwen2}}\n"
      "    model_config: {load_from_pretrained_path: m}\n"
      "    learning_rate: 1.0e-06\n"
      "    max_steps: 5\n",
      {"trainer_args.max_steps=6"});
  EXPECT_EQ(loaded.config.trainer_type, "hf_trainer");
  EXPECT_EQ(loaded.config.trainer.optimizer.learning_rate, 1e-6);
  EXPECT_EQ(loaded.config.trainer.max_steps, 6);
  EXPECT_EQ(loaded.where("trainer_args.learning_rate"), "a.yaml:6:5: trainer_args.learning_rate");
}

TEST_F(TrainConfigTest, compat_is_a_list_of_names_or_all_of_them) {
  EXPECT_EQ(load(right("{}", "", "compat: [loss]\n")).config.compat, (Compat{.loss = true}));
  EXPECT_EQ(load(right("{}", "", "compat: decay\n")).config.compat, (Compat{.decay = true}));
  EXPECT_EQ(load(right("{}", "", "compat: lmms_engine\n")).config.compat,
            (Compat{.labels = true,
                    .loss = true,
                    .decay = true,
                    .exif = true,
                    .tiles = true,
                    .schedule = true}));
}

TEST_F(TrainConfigTest, resuming_is_automatic_or_off_or_from_a_folder) {
  EXPECT_TRUE(load(right()).config.trainer.resume_from_checkpoint.automatic);
  EXPECT_FALSE(
      load(right("{resume_from_checkpoint: no}")).config.trainer.resume_from_checkpoint.automatic);
  EXPECT_EQ(load(right("{resume_from_checkpoint: a/checkpoint-3}"))
                .config.trainer.resume_from_checkpoint.path,
            "a/checkpoint-3");
}

TEST_F(TrainConfigTest, plain_text_is_cut_at_packing_length_unless_told_otherwise) {
  data::DataConfig config;
  config.processor.processor_type = "pure_text";
  config.packing_length = 77;
  EXPECT_EQ(config.overlong(), data::OnOverlong::truncate);
  EXPECT_EQ(config.length_limit(), 77);
  config.on_overlong = data::OnOverlong::drop;
  EXPECT_EQ(config.overlong(), data::OnOverlong::drop);
}

TEST_F(TrainConfigTest, the_policy_for_overlong_samples_follows_filter_overlong_unless_given) {
  const auto policy = [&](const std::string& keys) {
    return load(right("{}", "  max_length: 9\n" + keys)).config.dataset.overlong();
  };
  EXPECT_EQ(policy(""), data::OnOverlong::drop);
  EXPECT_EQ(policy("  filter_overlong: false\n"), data::OnOverlong::fail);
  EXPECT_EQ(policy("  filter_overlong: false\n  on_overlong: truncate\n"),
            data::OnOverlong::truncate);
}

TEST_F(TrainConfigTest, the_length_limit_is_the_smaller_of_max_length_and_the_row) {
  const auto limit = [&](const std::string& keys) {
    return load(right("{}", keys)).config.dataset.length_limit();
  };
  EXPECT_EQ(limit(""), std::nullopt);
  EXPECT_EQ(limit("  max_length: 9\n"), 9);
  EXPECT_EQ(limit("  packing: true\n"), 32000);
  EXPECT_EQ(limit("  packing: true\n  packing_length: 8\n  max_length: 9\n"), 8);
}

TEST_F(TrainConfigTest, a_data_seed_of_the_trainer_reaches_the_data) {
  EXPECT_EQ(load(right("{data_seed: 5}")).config.dataset.data_seed, 5);
}

TEST(TrainSteps, below_one_are_a_share_of_the_run) {
  EXPECT_EQ(steps_of(500, 10), 500);
  EXPECT_EQ(steps_of(0.25, 10), 3);
  EXPECT_EQ(steps_of(0.001, 10), 1);
  EXPECT_EQ(steps_of(1, 10), 1);
}

TEST_F(TrainConfigTest, says_what_was_given_without_effect) {
  const LoadedConfig loaded = load(
      right("{report_to: [swanlab, none], past_index: 3, group_by_length: true, do_eval: false,"
            " lr_scheduler_type: constant, warmup_steps: 3}",
            "  eval_dataset_path: e.jsonl\n  extra_kwargs: {frames_upbound: 3}\n"));
  EXPECT_THAT(
      loaded.notices,
      ElementsAre("no meaning here: trainer_args.past_index (gone from transformers 5), "
                  "trainer_args.group_by_length "
                  "(rows are never padded to the longest, so nothing is gained)",
                  "trainer_args.report_to: swanlab is not written; output_dir/metrics.jsonl "
                  "holds every metric, and tensorboard and wandb are",
                  "trainer_args.lr_scheduler_type: 'constant' has no warm-up; "
                  "'constant_with_warmup' has one, and compat: schedule gives the Python "
                  "project's ramp",
                  "dataset_config.eval_dataset_path is given, but "
                  "trainer_args.eval_strategy is 'no': nothing is evaluated",
                  "dataset_config.extra_kwargs: frames_upbound: not read"));
}

TEST_F(TrainConfigTest, takes_the_arguments_that_a_processor_reads) {
  const auto notices = [&](const std::string& dataset_type, const std::string& processor_type,
                           const std::string& argument) {
    return load(
               "trainer_args: {}\n"
               "model_config: {load_from_pretrained_path: model}\n"
               "dataset_config:\n"
               "  dataset_type: " +
               dataset_type +
               "\n  dataset_format: jsonl\n  dataset_path: a.jsonl\n"
               "  processor_config: {processor_type: " +
               processor_type + ", extra_kwargs: {" + argument + "}}\n")
        .notices;
  };
  const std::string eos = "append_eos: true", layout = "chat_template: builtin";
  EXPECT_THAT(notices("fineweb_edu", "pure_text", eos), IsEmpty());
  EXPECT_THAT(notices("vision", "qwen2", eos),
              ElementsAre("dataset_config.processor_config.extra_kwargs: append_eos: not read"));
  EXPECT_THAT(notices("vision", "qwen2", layout), IsEmpty());
  EXPECT_THAT(notices("vision", "qwen2_5_vl", layout), IsEmpty());
  EXPECT_THAT(notices("fineweb_edu", "pure_text", layout),
              ElementsAre("dataset_config.processor_config.extra_kwargs: chat_template: not read"));
}

TEST_F(TrainConfigTest, says_what_a_schedule_that_follows_a_metric_does_not_read) {
  const std::string data = "  eval_dataset_path: e.jsonl\n";
  EXPECT_THAT(
      load(right("{lr_scheduler_type: greedy, eval_strategy: epoch, warmup_steps: 3, "
                 "lr_scheduler_kwargs: {verbose: true}}",
                 data))
          .notices,
      ElementsAre(
          "no meaning here: trainer_args.lr_scheduler_kwargs.verbose (every change of the "
          "learning rate is told)",
          "trainer_args.lr_scheduler_type: 'greedy' has no warm-up; as in transformers, "
          "warmup_steps and warmup_ratio are not read",
          "trainer_args.lr_scheduler_kwargs.min_lr: 'greedy' takes 0.001 where it is absent, "
          "so that learning_rate=5e-05 never falls; give one below it"));
  EXPECT_THAT(load(right("{lr_scheduler_type: reduce_lr_on_plateau, eval_strategy: epoch, "
                         "metric_for_best_model: eval_loss}",
                         data))
                  .notices,
              IsEmpty());
  EXPECT_THAT(load(right("{metric_for_best_model: accuracy}")).notices,
              ElementsAre("without effect: trainer_args.metric_for_best_model (eval_strategy is "
                          "no)"));
  EXPECT_THAT(load(right("{lr_scheduler_type: constant}", "", "compat: schedule\n")).notices,
              ElementsAre(HasSubstr("stays at start_factor (0.01) of learning_rate")));
}

TEST_F(TrainConfigTest, paths_that_do_not_exist_are_named_before_anything_is_loaded) {
  const LoadedConfig loaded = load(
      "model_config: {load_from_pretrained_path: Qwen/Qwen3-8B}\n"
      "trainer_args: {resume_from_checkpoint: gone}\n"
      "dataset_config:\n"
      "  dataset_type: vision\n"
      "  dataset_format: yaml\n"
      "  processor_config: {processor_type: qwen2, processor_name: .}\n"
      "  datasets:\n"
      "    - {path: 'none-*.parquet', data_folder: media}\n"
      "    - {path: 'a.*ml'}\n"
      "  eval_dataset_path: e.jsonl\n");
  try {
    check_paths(loaded, "");
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(std::string(error.what()),
              "a.yaml:1:16: model_config.load_from_pretrained_path: 'Qwen/Qwen3-8B' is no folder; "
              "nothing is downloaded: "
              "run `hf download Qwen/Qwen3-8B` first, or give a folder\n"
              "a.yaml:2:16: trainer_args.resume_from_checkpoint: 'gone' does not exist; expected "
              "the folder of a checkpoint\n"
              "a.yaml:8:8: dataset_config.datasets[0].path: 'none-*.parquet' does not exist; "
              "expected a file or folder of "
              "data\n"
              "a.yaml:8:32: dataset_config.datasets[0].data_folder: 'media' does not exist; "
              "expected a folder\n"
              "a.yaml:10:3: dataset_config.eval_dataset_path: 'e.jsonl' does not exist; expected a "
              "file or folder of data");
  }
  fs::create_directory("model");
  write("a.jsonl", "{}");
  const LoadedConfig other = load(right());
  EXPECT_THROW(check_paths(other, ""), Error);  // no config.json
  write("model/config.json", "{}");
  EXPECT_NO_THROW(check_paths(other, ""));
}

TEST_F(TrainConfigTest, a_mistyped_path_gets_its_neighbour_and_a_file_is_no_output_folder) {
  fs::create_directory("model");
  write("model/config.json", "{}");
  write("chats.jsonl", "{}");
  write("taken", "");
  const LoadedConfig loaded = load(
      "model_config: {load_from_pretrained_path: modle}\n"
      "trainer_args: {output_dir: taken/out}\n"
      "dataset_config: {dataset_type: vision, dataset_format: jsonl, dataset_path: chat.jsonl,\n"
      "  processor_config: {processor_type: qwen2, processor_name: model}}\n");
  try {
    check_paths(loaded, "");
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(std::string(error.what()),
              "a.yaml:1:16: model_config.load_from_pretrained_path: 'modle' is no folder; did you "
              "mean 'model'?\n"
              "a.yaml:2:16: trainer_args.output_dir: 'taken' is a file; expected a folder\n"
              "a.yaml:3:63: dataset_config.dataset_path: 'chat.jsonl' does not exist; did you mean "
              "'chats.jsonl'?");
  }
  EXPECT_THROW(load_train_config(std::vector<std::string>{"b.yaml"}), Error);
}

TEST_F(TrainConfigTest, a_name_of_the_hub_is_found_in_its_cache) {
  fs::create_directories("hub/models--Qwen--Qwen3-8B/refs");
  fs::create_directories("hub/models--Qwen--Qwen3-8B/snapshots/abc");
  write("hub/models--Qwen--Qwen3-8B/refs/main", "abc");
  write("hub/models--Qwen--Qwen3-8B/snapshots/abc/config.json", "{}");
  write("a.jsonl", "{}");
  const LoadedConfig loaded =
      load(right(), {"model_config.load_from_pretrained_path=Qwen/Qwen3-8B"});
  EXPECT_NO_THROW(check_paths(loaded, "hub"));
  EXPECT_THROW(check_paths(loaded, ""), Error);
}

TEST_F(TrainConfigTest, help_tells_of_every_key) {
  const std::string help = describe_fields("trainer_args");
  EXPECT_THAT(
      help,
      HasSubstr(
          "trainer_args.learning_rate  a number >= 0, default 5.0e-05\n    peak learning rate\n"));
  EXPECT_THAT(help, HasSubstr("trainer_args.use_muon  true or false (not built yet)\n"));
  EXPECT_THAT(help, Not(HasSubstr("\ndataset_config.shuffle")));
  EXPECT_THAT(describe_fields(""),
              HasSubstr("\ndataset_config.shuffle  true or false, default true"));
}

TEST_F(TrainConfigTest, the_guide_shows_the_fields_as_they_are) {
  const std::string guide = *read_file(kSource + "/docs/guide/config.md");
  const std::string tables = fields_as_markdown();
  if (guide.find(tables) != std::string::npos) return;
  const std::string path = testing::TempDir() + "/config_tables.md";
  write(path, tables);
  FAIL() << "docs/guide/config.md has other tables than the fields; replace them by " << path;
}

TEST_F(TrainConfigTest, mutated_configs_are_read_or_refused) {
  const std::string seed = *read_file(kSource + "/examples/qwen3_llm/example_config.yaml");
  std::mt19937_64 random(11);
  size_t read = 0;
  for (int round = 0; round < 600; ++round) {
    std::string text = seed;
    for (uint64_t edits = 1 + random() % 3; edits > 0; --edits) {
      const size_t at = random() % text.size();
      switch (random() % 3) {
        case 0:
          text[at] = static_cast<char>(32 + random() % 95);
          break;
        case 1:
          text.erase(at, 1 + random() % 30);
          break;
        default:
          text.insert(at, text.substr(random() % text.size(), random() % 30));
      }
      if (text.empty()) break;
    }
    try {
      const TrainConfig config = load(text).config;
      ++read;
      ASSERT_TRUE(load(write_resolved(config)).config == config) << text;
    } catch (const Error& error) {
      ASSERT_THAT(error.what(), HasSubstr("a.yaml:"));
    }
  }
  EXPECT_GT(read, 20U);
}

}  // namespace
}  // namespace lmms::train
