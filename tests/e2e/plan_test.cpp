// lmms plan: memory and speed of a config on a GPU that is not here.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tests/e2e/project.h"

namespace lmms::e2e {
namespace {

using testing::HasSubstr;

Ended plan(const Project& project, Words words) {
  words.insert(words.begin(),
               {"plan", "config.yaml", "trainer_args.use_cpu=false", "trainer_args.bf16=true"});
  return run(words, project.here());
}

TEST(Plan, tells_memory_and_speed_and_leaves_nothing_behind) {
  const Project project;
  const auto before = contents(project / "");
  const Ended ended = plan(project, {"--card", "h200"});
  EXPECT_EQ(ended.exit, 0) << ended.err;
  for (const char* text : {"qwen3 from its config", "h200: 139.8 GiB", "activations and workspace",
                           "run again", "tokens a second, MFU", "what limits"})
    EXPECT_THAT(ended.out, HasSubstr(text));
  EXPECT_EQ(contents(project / ""), before);
}

TEST(Plan, of_a_run_on_the_cpu_is_a_plan_of_the_card_that_is_named) {
  const Project project;  // use_cpu: true, fp32
  const auto of = [&](const Words& more) {
    Words words{"plan", "config.yaml", "--json", "--card", "h200"};
    words.insert(words.end(), more.begin(), more.end());
    const Ended ended = run(words, project.here());
    EXPECT_EQ(ended.exit, 0) << ended.err;
    return nlohmann::json::parse(ended.out);
  };
  const auto cpu = of({}), cpu_bf16 = of({"trainer_args.bf16=true"}),
             gpu_fp32 = of({"trainer_args.use_cpu=false"}),
             gpu = of({"trainer_args.use_cpu=false", "trainer_args.bf16=true"});
  ASSERT_EQ(cpu.at("notices").size(), 2U);
  EXPECT_THAT(cpu.at("notices")[0], HasSubstr("planned as if on h200"));
  EXPECT_THAT(cpu.at("notices")[1], HasSubstr("planned as with trainer_args.bf16: true"));
  EXPECT_EQ(cpu_bf16.at("notices").size(), 1U);
  EXPECT_EQ(gpu_fp32.at("notices").size(), 1U);
  EXPECT_TRUE(gpu.at("notices").empty());
  for (const auto& json : {cpu, cpu_bf16, gpu_fp32}) {
    EXPECT_EQ(json.at("peak_memory_bytes"), gpu.at("peak_memory_bytes"));
    EXPECT_EQ(json.at("step_ms"), gpu.at("step_ms"));
  }
  const Ended table = run({"plan", "config.yaml", "--card", "h200"}, project.here());
  EXPECT_THAT(table.out, HasSubstr("note"));
  EXPECT_THAT(table.out, HasSubstr("planned as if on h200"));
}

TEST(Plan, of_a_run_on_the_cpu_is_a_plan_of_this_machine) {
  const Project project;  // use_cpu: true, fp32
  const auto before = contents(project / "");
  const Ended ended = run({"plan", "config.yaml"}, project.here());
  EXPECT_EQ(ended.exit, 0) << ended.err;
  for (const char* text : {"this CPU, ", "measured now", "the program itself", "a step, measured",
                           "tokens a second", "with drawn weights"})
    EXPECT_THAT(ended.out, HasSubstr(text));
  EXPECT_THAT(ended.out, testing::Not(HasSubstr("H100")));
  EXPECT_EQ(contents(project / ""), before);
  const auto json = nlohmann::json::parse(
      run({"plan", "config.yaml", "--json", "trainer_args.bf16=true"}, project.here()).out);
  EXPECT_EQ(json.at("device"), "cpu");
  EXPECT_GT(json.at("steps_tried"), 0);
  EXPECT_GT(json.at("tokens_per_second"), 0);
  EXPECT_TRUE(json.at("notices").empty());
}

TEST(Plan, of_the_cpu_comes_near_what_the_run_takes) {
  const Project project;
  const Words larger{"model_config.overwrite_config={hidden_size: 256, intermediate_size: 1024}",
                     "trainer_args.max_steps=4", "trainer_args.save_strategy=no"};
  Words words{"plan", "config.yaml", "--json"};
  words.insert(words.end(), larger.begin(), larger.end());
  const auto json = nlohmann::json::parse(run(words, project.here()).out);
  project.train_to_the_end(larger);
  const double planned =
      json.at("peak_memory_bytes").get<double>() + json.at("reserved_memory_bytes").get<double>();
  const double taken = column(metrics(project / "out"), "peak_memory_bytes").back();
  EXPECT_GT(planned, 0.6 * taken);
  EXPECT_LT(planned, 1.6 * taken);
}

TEST(Plan, says_that_a_step_does_not_fit_this_machine) {
  const Project project;
  const Ended ended =
      run({"plan", "config.yaml",
           "model_config.overwrite_config={hidden_size: 65536, intermediate_size: 262144}"},
          project.here());
  EXPECT_EQ(ended.exit, 1) << ended.err << ended.out;
  EXPECT_THAT(ended.out, HasSubstr("more than there is"));
  EXPECT_THAT(ended.out, HasSubstr("too many for this machine"));
}

// Beside a GPU that is hidden, lmms train refuses.
TEST(Plan, without_a_gpu_is_of_what_training_takes_here) {
  const Project project;
  Surroundings blind = project.here();
  blind.variables = {{"LMMS_DEVICE", ""}, {"CUDA_VISIBLE_DEVICES", ""}};
  const Ended other = run({"plan", "config.yaml", "trainer_args.use_cpu=false"}, blind);
  if (other.exit == 2) {
    EXPECT_THAT(other.err, HasSubstr("no GPU for this run"));
    EXPECT_THAT(other.err, HasSubstr("--card cpu"));
  } else {
    EXPECT_EQ(other.exit, 0) << other.err;
    EXPECT_THAT(other.out, HasSubstr("this CPU, "));
    EXPECT_THAT(other.out, HasSubstr("planned for this machine's CPU"));
    EXPECT_THAT(other.out, HasSubstr("--card h100"));
  }
  const Ended cpu = plan(project, {"--card", "cpu"});
  EXPECT_EQ(cpu.exit, 0) << cpu.err;
  EXPECT_THAT(cpu.out, HasSubstr("this CPU, "));
  const Ended sheet = plan(project, {"--card", "rtx-4090"});
  EXPECT_THAT(sheet.out, HasSubstr("(not measured: by"));
}

TEST(Plan, prints_json_that_adds_up) {
  const Project project;
  const auto json = nlohmann::json::parse(plan(project, {"--json", "--card=h100"}).out);
  EXPECT_EQ(json.at("card"), "h100");
  EXPECT_EQ(json.at("fits"), true);
  double parts = 0;
  for (const auto& [name, ms] : json.at("ms").items()) parts += ms.get<double>();
  EXPECT_NEAR(parts, json.at("step_ms").get<double>(), 1e-9);
  EXPECT_GT(json.at("memory_bytes").at("activations_and_workspace"), 0);
  EXPECT_GT(json.at("peak_memory_bytes"), json.at("memory_bytes").at("activations_and_workspace"));
}

TEST(Plan, of_less_recompute_takes_more_memory_and_less_time) {
  const Project project;
  const auto all = [&](const char* checkpointing) {
    return nlohmann::json::parse(
        plan(project, {"--json", "--card=h200",
                       std::string("trainer_args.gradient_checkpointing=") + checkpointing})
            .out);
  };
  const auto kept = all("false"), again = all("true"), automatic = all("auto");
  EXPECT_GT(kept.at("peak_memory_bytes"), again.at("peak_memory_bytes"));
  EXPECT_LT(kept.at("step_ms"), again.at("step_ms"));
  EXPECT_EQ(automatic.at("recompute"), "nothing") << "all fits";
  EXPECT_GT(automatic.at("peak_memory_bytes"), kept.at("peak_memory_bytes"));
  EXPECT_LT(automatic.at("step_ms"), kept.at("step_ms"));
}

TEST(Plan, says_what_to_change_where_a_config_does_not_fit) {
  const Project project;
  const Ended ended = plan(
      project, {"--card", "h100:1g.10gb",
                "model_config.overwrite_config={hidden_size: 8192, intermediate_size: 24576}"});
  EXPECT_EQ(ended.exit, 1) << ended.err << ended.out;
  EXPECT_THAT(ended.out, HasSubstr("more than there is"));
  EXPECT_THAT(ended.out, HasSubstr("what would fit"));
}

TEST(Plan, refuses_what_training_would_refuse) {
  const Project project;
  const Ended ended = plan(project, {"dataset_config.dataset_path=gone.jsonl"});
  EXPECT_EQ(ended.exit, 2);
  EXPECT_THAT(ended.err, HasSubstr("gone.jsonl"));
  const Ended card = plan(project, {"--card", "h20o"});
  EXPECT_EQ(card.exit, 2);
  EXPECT_THAT(card.err, HasSubstr("did you mean 'h200'?"));
}

}  // namespace
}  // namespace lmms::e2e
