// `lmms generate`, `lmms chat` and `lmms eval` on what a run left.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <csignal>

#include "core/files.h"
#include "tests/e2e/project.h"

namespace lmms::e2e {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

std::vector<nlohmann::json> json_lines(const std::string& text) {
  std::vector<nlohmann::json> rows;
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = std::min(text.find('\n', begin), text.size());
    rows.push_back(nlohmann::json::parse(text.substr(begin, end - begin)));
    begin = end + 1;
  }
  return rows;
}

Words generate(Words more) {
  Words words{"generate", pretrained().string(), "--cpu", "--max-new-tokens", "8"};
  words.insert(words.end(), more.begin(), more.end());
  return words;
}

Words greedy(Words more) {
  more.push_back("--greedy");
  return generate(std::move(more));
}

TEST(Generate, answers_prompts_and_conversations_alike) {
  const Project project;
  const std::string question = "Count to 3, please.";
  project.write("one.json", R"([{"role": "user", "content": ")" + question + R"("}])");
  project.write("rows.jsonl", chat_line(question, "an answer that is not read") +
                                  chat_line("Count to 9, please.", "nor this"));
  const Ended ended = run(greedy({"--json", "--prompt", question, "--messages", "one.json",
                                  "--messages", "rows.jsonl"}),
                          project.here());
  ASSERT_EQ(ended.exit, 0) << ended.err;
  const auto rows = json_lines(ended.out);
  ASSERT_EQ(rows.size(), 4u);
  for (const auto& row : rows) {
    EXPECT_EQ(row["ids"].size(), 8u);
    EXPECT_FALSE(row["finished"]);
  }
  for (size_t i : {1, 2}) EXPECT_EQ(rows[i], rows[0]) << i;
  EXPECT_NE(rows[3]["prompt_ids"], rows[0]["prompt_ids"]);
}

TEST(Generate, shows_the_text_of_its_ids_while_it_is_written_and_prompts_where_there_are_several) {
  const Ended json = run(greedy({"--json", "--prompt", "Hello"}));
  const Ended alone = run(greedy({"--prompt", "Hello"}));
  const Ended both = run(greedy({"--prompt", "Hello", "--prompt", "Bye"}));
  const std::string answer = json_lines(json.out)[0]["answer"];
  EXPECT_EQ(alone.out, answer + "\n");
  EXPECT_THAT(both.out, HasSubstr("> Hello\n" + answer + "\n"));
  EXPECT_THAT(both.out, HasSubstr("> Bye\n"));
}

TEST(Generate, batches_change_no_answer) {
  Words words = generate({"--json", "--temperature", "1.5"});
  for (const char* prompt : {"a", "some more words than before", "b c", "d"})
    words.insert(words.end(), {"--prompt", prompt});
  Words one = words, three = words;
  one.insert(one.end(), {"--batch-size", "1"});
  three.insert(three.end(), {"--batch-size", "3"});
  const Ended expected = run(words);
  EXPECT_EQ(expected.exit, 0) << expected.err;
  EXPECT_EQ(run(one).out, expected.out);
  EXPECT_EQ(run(three).out, expected.out);
}

TEST(Generate, answers_on_a_cpu_alike_by_either_kernels) {
  const Ended fused = run(greedy({"--json", "--prompt", "Hello"}));
  const Ended plain = run(greedy({"--json", "--prompt", "Hello", "--kernels", "plain"}));
  EXPECT_EQ(plain.exit, 0) << plain.err;
  EXPECT_EQ(plain.out, fused.out);
  EXPECT_EQ(run(greedy({"--prompt", "Hello", "--kernels", "other"})).exit, 2);
}

TEST(Generate, draws_by_its_seed_alone) {
  const Words drawn = generate({"--json", "--prompt", "x", "--temperature", "3", "--seed", "5"});
  Words other = drawn;
  other.back() = "6";
  EXPECT_EQ(run(drawn).out, run(drawn).out);
  EXPECT_NE(run(drawn).out, run(other).out);
}

TEST(Generate, follows_generation_config_unless_greedy_is_asked_for) {
  const Project project;
  std::filesystem::copy(pretrained(), project / "model");
  std::filesystem::remove(project / "model/generation_config.json");
  const auto answer = [&](const Words& more) {
    Words words{"generate", "model", "--cpu", "--max-new-tokens", "8", "--prompt", "x"};
    words.insert(words.end(), more.begin(), more.end());
    return run(words, project.here()).out;
  };
  const std::string greedy = answer({});
  project.write("model/generation_config.json", R"({"do_sample": true, "temperature": 9.0})");
  EXPECT_NE(answer({}), greedy);
  EXPECT_EQ(answer({"--greedy"}), greedy);
  EXPECT_EQ(answer({"--temperature", "0"}), greedy);
  // the first token of that answer ends it at once
  const Ended json =
      run({"generate", "model", "--cpu", "--greedy", "--json", "--prompt", "x"}, project.here());
  const auto ids = json_lines(json.out)[0]["ids"];
  project.write("model/generation_config.json", R"({"eos_token_id": [1, )" + ids[0].dump() + "]}");
  EXPECT_EQ(answer({}), "\n");
}

TEST(Generate, refuses_settings_of_generation_config_that_cannot_be) {
  const Project project;
  std::filesystem::copy(pretrained(), project / "model");
  for (const char* bad : {R"("temperature": -1)", R"("top_p": "x")", R"("top_k": 1e300)",
                          R"("repetition_penalty": 0)"}) {
    project.write("model/generation_config.json",
                  std::string(R"({"do_sample": true, )") + bad + "}");
    const Words words{"generate", "model", "--cpu", "--max-new-tokens", "2", "--prompt", "x"};
    const Ended ended = run(words, project.here());
    EXPECT_EQ(ended.exit, 2) << bad;
    EXPECT_THAT(ended.err, HasSubstr("generation_config.json: ")) << bad;
    Words greedy = words;
    greedy.push_back("--greedy");
    EXPECT_EQ(run(greedy, project.here()).exit, 0) << bad;
  }
}

TEST(Generate, plain_prompts_are_continued_without_a_layout) {
  const Ended plain = run(generate({"--json", "--plain", "--prompt", "Count"}));
  const Ended chat = run(generate({"--json", "--prompt", "Count"}));
  EXPECT_LT(json_lines(plain.out)[0]["prompt_ids"].size(), 4u);
  EXPECT_GT(json_lines(chat.out)[0]["prompt_ids"].size(), 10u);
}

TEST(Generate, takes_the_newest_checkpoint_of_a_run_without_a_final_model) {
  const Project project;
  project.train_to_the_end({"trainer_args.max_steps=2", "trainer_args.save_steps=1"});
  std::filesystem::remove(project / "out/config.json");
  const Ended ended =
      run({"generate", "out", "--prompt", "Hello", "--max-new-tokens", "2"}, project.here());
  EXPECT_EQ(ended.exit, 0);
  EXPECT_THAT(ended.err, HasSubstr("out/checkpoint-2"));
}

TEST(Generate, says_what_is_wrong) {
  const Project project;
  project.write("rotten.jsonl", "{\"messages\": [}\n");
  project.write("empty.jsonl", "{\"text\": \"no turn\"}\n");
  project.write("words.txt", "words");
  const auto error = [&](const Words& words) {
    const Ended ended = run(words, project.here());
    EXPECT_EQ(ended.exit, 2) << ended.err;
    return ended.err;
  };
  EXPECT_THAT(error({"generate"}), HasSubstr("CHECKPOINT is missing"));
  EXPECT_THAT(error({"generate", "nowhere", "--prompt", "x"}), HasSubstr("nowhere"));
  EXPECT_THAT(error({"generate", "."}), HasSubstr("nothing to answer"));
  EXPECT_THAT(error({"generate", ".", "--prompt", "x"}), HasSubstr("no model"));
  EXPECT_THAT(error(generate({"--messages", "rotten.jsonl"})), HasSubstr("rotten.jsonl:1"));
  EXPECT_THAT(error(generate({"--messages", "empty.jsonl"})), HasSubstr("empty.jsonl:1"));
  EXPECT_THAT(error(generate({"--messages", "words.txt"})), HasSubstr("*.jsonl"));
  EXPECT_THAT(error(generate({"--messages", "gone.json"})), HasSubstr("gone.json"));
  EXPECT_THAT(error(generate({"--plain", "--messages", "empty.jsonl"})), HasSubstr("empty.jsonl"));
  EXPECT_THAT(error(generate({"--prompt", "x", "--top-p", "2"})), HasSubstr("--top-p"));
  EXPECT_THAT(error(generate({"--plain", "--prompt", ""})), HasSubstr("no token"));
}

TEST(Chat, keeps_its_conversation_and_obeys) {
  const Project project;
  project.write("lines", "Hello\nAnd now?\n/reset\nHello\n/again\n/what\n/exit\nnot read\n");
  Surroundings surroundings = project.here();
  surroundings.input = project / "lines";
  const Ended ended = run(
      {"chat", pretrained().string(), "--cpu", "--greedy", "--max-new-tokens", "4"}, surroundings);
  EXPECT_EQ(ended.exit, 2) << ended.err;
  std::vector<std::string> answers;
  for (size_t begin = 0; begin < ended.out.size();) {
    const size_t end = std::min(ended.out.find('\n', begin), ended.out.size());
    const std::string line = ended.out.substr(begin, end - begin);
    if (line.ends_with("--max-new-tokens]")) answers.push_back(line);
    begin = end + 1;
  }
  ASSERT_EQ(answers.size(), 4u) << ended.out;
  const auto generated = [&](const std::string& file) {
    const Ended json = run({"generate", pretrained().string(), "--cpu", "--greedy",
                            "--max-new-tokens", "4", "--messages", file},
                           project.here());
    EXPECT_EQ(json.exit, 0) << json.err;
    return json.out.substr(0, json.out.size() - 1);
  };
  project.write("first.json", R"([{"role": "user", "content": "Hello"}])");
  EXPECT_EQ(answers[0], generated("first.json") + " [cut after 4 tokens: --max-new-tokens]");
  const nlohmann::json turns = {{{"role", "user"}, {"content", "Hello"}},
                                {{"role", "assistant"}, {"content", generated("first.json")}},
                                {{"role", "user"}, {"content", "And now?"}}};
  project.write("second.json", turns.dump());
  EXPECT_EQ(answers[1], generated("second.json") + " [cut after 4 tokens: --max-new-tokens]");
  EXPECT_EQ(answers[2], answers[0]);
  EXPECT_EQ(answers[3], answers[0]);  // greedy: drawn anew, it is the same
  EXPECT_THAT(ended.err, HasSubstr("/what is no command"));
}

// What training said of its last step, and `lmms eval` of the model that it left.
void expect_equal_evaluations(const std::string& bf16) {
  const Project project;
  const Words overrides{"dataset_config.eval_dataset_path=eval.jsonl", "trainer_args.bf16=" + bf16,
                        "trainer_args.eval_strategy=steps", "trainer_args.eval_steps=5",
                        "trainer_args.max_steps=10"};
  project.train_to_the_end(overrides);
  const auto losses = column(metrics(project / "out"), "eval_loss");
  ASSERT_EQ(losses.size(), 2u);
  const auto eval = [&](const std::string& checkpoint) {
    Words words{"eval", "config.yaml", checkpoint, "--json"};
    words.insert(words.end(), overrides.begin(), overrides.end());
    const Ended ended = run(words, project.here());
    EXPECT_EQ(ended.exit, 0) << ended.err;
    return nlohmann::json::parse(ended.out);
  };
  EXPECT_EQ(eval("out/checkpoint-5")["eval_loss"], losses[0]);
  const auto last = eval("out");
  EXPECT_EQ(last["eval_loss"], losses[1]);
  EXPECT_EQ(last["eval_perplexity"], std::exp(losses[1]));
  EXPECT_EQ(last["eval_perplexity"], column(metrics(project / "out"), "eval_perplexity")[1]);
}

TEST(Eval, equals_training_to_the_bit_in_fp32) {
  expect_equal_evaluations("false");
}

TEST(Eval, equals_training_to_the_bit_in_bf16) {
  expect_equal_evaluations("true");
}

TEST(Eval, says_what_is_wrong) {
  const Project project;
  const auto error = [&](const Words& words) {
    const Ended ended = run(words, project.here());
    EXPECT_EQ(ended.exit, 2) << ended.err;
    return ended.err;
  };
  const std::string data = "dataset_config.eval_dataset_path=eval.jsonl";
  EXPECT_THAT(error({"eval"}), HasSubstr("CONFIG is missing"));
  EXPECT_THAT(error({"eval", "config.yaml", pretrained().string()}),
              HasSubstr("dataset_config.eval_dataset_path"));
  EXPECT_THAT(error({"eval", "config.yaml", "nowhere", data}), HasSubstr("nowhere"));
  EXPECT_THAT(error({"eval", "config.yaml", data}), HasSubstr("out"));  // nothing trained yet
  EXPECT_THAT(error({"eval", "gone.yaml", pretrained().string(), data}), HasSubstr("gone.yaml"));
  EXPECT_THAT(error({"eval", "config.yaml", pretrained().string(),
                     "dataset_config.eval_dataset_path=gone.jsonl"}),
              HasSubstr("gone.jsonl"));
}

}  // namespace
}  // namespace lmms::e2e
