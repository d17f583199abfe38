#include "tests/e2e/project.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <stdexcept>

#include "core/files.h"
#include "core/format.h"

namespace lmms::e2e {

namespace fs = std::filesystem;

namespace {

constexpr const char* kConfig = R"(trainer_type: fsdp2_trainer
dataset_config:
  dataset_type: vision
  dataset_format: jsonl
  dataset_path: train.jsonl
  processor_config:
    processor_name: {}
    processor_type: qwen2
model_config:
  load_from_config:
    model_type: qwen3
    config:
      vocab_size: 4096
      hidden_size: 32
      intermediate_size: 64
      num_hidden_layers: 2
      num_attention_heads: 2
      num_key_value_heads: 1
      head_dim: 16
      max_position_embeddings: 512
      tie_word_embeddings: true
trainer_args:
  output_dir: out
  per_device_train_batch_size: 4
  num_train_epochs: 2
  learning_rate: 1.0e-2
  save_steps: 5
  use_cpu: true
)";

std::string count_to(int n) {
  std::string text;
  for (int i = 1; i <= n; ++i) text += (i > 1 ? " " : "") + std::to_string(i);
  return text + ".";
}

std::string chats(int rows, int first) {
  std::string text;
  for (int i = first; i < first + rows; ++i) {
    const int n = 1 + i * 7 % 13;
    text += chat_line(fmt::format("Count to {}, please.", n), count_to(n));
  }
  return text;
}

}  // namespace

std::string chat_line(const std::string& question, const std::string& answer) {
  const nlohmann::ordered_json row{
      {"messages",
       {{{"role", "user"}, {"content", question}}, {{"role", "assistant"}, {"content", answer}}}}};
  return row.dump() + "\n";
}

Project::Project() {
  std::string name = (fs::temp_directory_path() / "lmms-e2e-XXXXXX").string();
  if (::mkdtemp(name.data()) == nullptr) throw std::runtime_error("mkdtemp failed: " + name);
  root_ = name;
  write("train.jsonl", chats(40, 0));
  write("eval.jsonl", chats(6, 3));
  write("config.yaml", fmt::format(kConfig, LMMS_SOURCE_DIR "/examples/chat_tiny/tokenizer"));
}

Project::~Project() {
  std::error_code ignored;
  fs::remove_all(root_, ignored);
}

void Project::write(const fs::path& name, const std::string& text) const {
  write_atomically(root_ / name, text);
}

Words Project::command(const Words& overrides) {
  Words words{"train", "config.yaml"};
  words.insert(words.end(), overrides.begin(), overrides.end());
  return words;
}

Surroundings Project::here() const {
  Surroundings surroundings;
  surroundings.folder = root_;
  return surroundings;
}

Ended Project::train(const Words& overrides) const {
  return run(command(overrides), here());
}

Ended Project::train_to_the_end(const Words& overrides) const {
  Ended ended = train(overrides);
  EXPECT_EQ(ended.exit, 0) << ended.err;
  return ended;
}

std::vector<nlohmann::json> metrics(const fs::path& output) {
  std::vector<nlohmann::json> rows;
  const std::string text = read_file(output / "metrics.jsonl").take();
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = std::min(text.find('\n', begin), text.size());
    rows.push_back(nlohmann::json::parse(text.substr(begin, end - begin), nullptr, false));
    EXPECT_TRUE(rows.back().is_object()) << text.substr(begin, end - begin);
    begin = end + 1;
  }
  return rows;
}

std::vector<nlohmann::json> steady_metrics(const fs::path& output) {
  std::vector<nlohmann::json> rows = metrics(output);
  for (nlohmann::json& row : rows) {
    for (const char* field :
         {"tokens_per_second", "samples_per_second", "tokens_per_second_per_device", "mfu",
          "mfu_lmms_engine", "step_ms", "data_wait_ms", "peak_memory_bytes", "eval_seconds"}) {
      row.erase(field);
    }
  }
  return rows;
}

std::vector<double> column(const std::vector<nlohmann::json>& rows, const std::string& field) {
  std::vector<double> values;
  for (const nlohmann::json& row : rows)
    if (row.contains(field) && row[field].is_number()) values.push_back(row[field].get<double>());
  return values;
}

std::map<std::string, std::string> contents(const fs::path& folder) {
  std::map<std::string, std::string> files;
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    if (entry.is_regular_file())
      files[fs::relative(entry.path(), folder).string()] = read_file(entry.path()).take();
  }
  return files;
}

std::string weights(const fs::path& folder) {
  return read_file(folder / "model.safetensors").take();
}

std::vector<std::string> checkpoints(const fs::path& output) {
  std::vector<int> steps;
  for (const auto& entry : fs::directory_iterator(output)) {
    const std::string name = entry.path().filename().string();
    if (name.starts_with("checkpoint-")) steps.push_back(std::atoi(name.c_str() + 11));
  }
  std::sort(steps.begin(), steps.end());
  std::vector<std::string> names;
  for (int step : steps) names.push_back(fmt::format("checkpoint-{}", step));
  return names;
}

void without_checksums(const fs::path& checkpoint) {
  const fs::path file = checkpoint / "resume/manifest.json";
  auto manifest = nlohmann::json::parse(read_file(file).take());
  manifest["format"] = 1;
  manifest.erase("checksum");
  for (auto& [name, sum] : manifest["files"].items()) sum = sum["bytes"];
  write_atomically(file, manifest.dump());
}

const fs::path& pretrained() {
  static const Project project;
  static const fs::path folder = [] {
    project.train_to_the_end({"trainer_args.max_steps=2", "trainer_args.save_strategy=no",
                              "trainer_args.output_dir=pretrained"});
    write_atomically(project / "pretrained/generation_config.json",
                     R"({"do_sample": true, "temperature": 0.6})");
    return project / "pretrained";
  }();
  return folder;
}

}  // namespace lmms::e2e
