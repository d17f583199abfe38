#pragma once
/// What `lmms generate` and `lmms chat` share: their options and how an answer reaches the screen.
#include <CLI/CLI.hpp>
#include <optional>
#include <string>

#include "generate/inference.h"

namespace lmms::app {

/// Options of the command line about model and answers.
struct AnswerFlags {
  std::string model;
  std::optional<std::string> system;
  int64_t max_new_tokens = 512;
  bool greedy = false;
  std::optional<double> temperature, top_p, repetition_penalty;
  std::optional<int64_t> top_k;
  uint64_t seed = 0;
  std::optional<std::string> dtype;
  bool use_cpu = false;
  std::string kernels = "fused";

  void add_to(CLI::App& command);
  generate::InferenceModel open(const models::ModelRegistry& models,
                                generate::PromptForm form) const;
  /// The checkpoint's generation_config.json, and what the command line says over it.
  generate::GenerationOptions generation(const generate::InferenceModel& model) const;
};

/// "640 x 480", "640 x 480, 12.5 s": what a file shows. Throw Error, naming `where`, for one that
/// cannot be read as that, or a model that sees none.
std::string check_image(const std::string& where, const std::string& image,
                        const generate::InferenceModel& model);
std::string check_video(const std::string& where, const std::string& video,
                        const generate::InferenceModel& model);

/// Text of a model with control characters made visible: it must not command the terminal.
std::string shown(const std::string& text);

}  // namespace lmms::app
