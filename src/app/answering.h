#pragma once
/// What `lmms generate` and `lmms chat` share: their options and how an answer reaches the screen.
#include <CLI/CLI.hpp>
#include <optional>
#include <string>
#include <vector>

#include "generate/inference.h"

namespace lmms::app {

/// Options about checkpoints that fill in masks (generate/unmasking.h).
struct UnmaskingFlags {
  std::optional<int64_t> diffusion_steps, block_length;
  std::optional<std::string> remasking;
  std::optional<double> confidence_threshold, guidance;

  void add_to(CLI::App& command);
  /// What they say over the checkpoint's. Throws Error for one that is given in vain.
  std::optional<generate::UnmaskingOptions> over(const generate::InferenceModel& model) const;
};

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
  UnmaskingFlags unmasking;

  void add_to(CLI::App& command);
  /// `texts`: all that will be asked, if that is known (InferenceOptions).
  generate::InferenceModel open(const models::ModelRegistry& models, generate::PromptForm form,
                                const std::vector<std::string>& texts = {}) const;
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
