#pragma once
/// A folder for configs, and what reading them says.
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "core/error.h"
#include "core/format.h"
#include "train/config.h"

namespace lmms::train {

inline void write(const std::string& path, const std::string& text) {
  std::ofstream(path, std::ios::binary) << text;
}

/// A file in a folder of this test, by a short name: run() works in that folder, so that messages
/// name it alone.
class TrainConfigTest : public testing::Test {
 protected:
  void SetUp() override {
    before_ = std::filesystem::current_path();
    folder_ = std::filesystem::path(testing::TempDir()) / fmt::format("config_test_{}", getpid());
    std::filesystem::create_directories(folder_);
    std::filesystem::current_path(folder_);
  }
  void TearDown() override {
    std::filesystem::current_path(before_);
    std::filesystem::remove_all(folder_);
  }

  static LoadedConfig load(const std::string& yaml, std::vector<std::string> words = {}) {
    write("a.yaml", yaml);
    words.insert(words.begin(), "a.yaml");
    return load_train_config(words);
  }

  /// What the user is told; empty if the config is right.
  static std::string faults(const std::string& yaml, const std::vector<std::string>& words = {}) {
    try {
      load(yaml, words);
    } catch (const Error& error) {
      EXPECT_EQ(error.exit(), Exit::bad_input);
      return error.what();
    }
    return "";
  }

  static std::string faults_of_words(const std::vector<std::string>& words) {
    try {
      load_train_config(words);
    } catch (const Error& error) {
      return error.what();
    }
    return "";
  }

 private:
  std::filesystem::path before_;
  std::filesystem::path folder_;
};

/// A right config to which a test adds.
inline std::string right(const std::string& trainer_args = "{}", const std::string& dataset = "",
                         const std::string& top = "") {
  return fmt::format(
      "trainer_args: {}\n{}"
      "model_config: {{load_from_pretrained_path: model}}\n"
      "dataset_config:\n"
      "  dataset_type: vision\n"
      "  dataset_format: jsonl\n"
      "  processor_config: {{processor_type: qwen2}}\n"
      "  dataset_path: a.jsonl\n{}",
      trainer_args, top, dataset);
}

}  // namespace lmms::train
