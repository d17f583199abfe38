#pragma once
/// A folder with a small data set, a tokenizer and a config: what a user of `lmms train` has.
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "tests/e2e/program.h"

namespace lmms::e2e {

using Words = std::vector<std::string>;

/// Made empty but for train.jsonl (40 short chats), eval.jsonl (6) and config.yaml; removed on
/// destruction. The config trains a Qwen3 of 150,000 parameters in fp32 on the CPU for 2 epochs of
/// 10 steps into the folder `out`.
class Project {
 public:
  Project();
  ~Project();
  Project(const Project&) = delete;
  Project& operator=(const Project&) = delete;

  std::filesystem::path operator/(const std::filesystem::path& name) const { return root_ / name; }
  void write(const std::filesystem::path& name, const std::string& text) const;

  /// The command line of `lmms train config.yaml KEY=VALUE ...`.
  static Words command(const Words& overrides = {});
  Surroundings here() const;
  Ended train(const Words& overrides = {}) const;
  /// As train, and a test failure unless the program ends with 0.
  Ended train_to_the_end(const Words& overrides = {}) const;

 private:
  std::filesystem::path root_;
};

/// A chat of one question and its answer, as a line of JSONL.
std::string chat_line(const std::string& question, const std::string& answer);

/// The rows of OUTPUT/metrics.jsonl; a test failure if a line is no JSON.
std::vector<nlohmann::json> metrics(const std::filesystem::path& output);
/// The same without what differs from run to run: times, rates, memory.
std::vector<nlohmann::json> steady_metrics(const std::filesystem::path& output);
/// One field of every row that has it.
std::vector<double> column(const std::vector<nlohmann::json>& rows, const std::string& field);

/// The bytes of every file below a folder, by relative path.
std::map<std::string, std::string> contents(const std::filesystem::path& folder);
/// The bytes of FOLDER/model.safetensors.
std::string weights(const std::filesystem::path& folder);
/// Names of the checkpoints in an output folder, by step.
std::vector<std::string> checkpoints(const std::filesystem::path& output);

/// Gives a checkpoint the manifest that earlier versions wrote: sizes alone.
void without_checksums(const std::filesystem::path& checkpoint);

/// A checkpoint folder with random weights that two steps have moved: what
/// `load_from_pretrained_path` names. Made once in the life of the process.
const std::filesystem::path& pretrained();

}  // namespace lmms::e2e
