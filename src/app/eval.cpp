#include <algorithm>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>

#include "app/commands.h"
#include "app/environment.h"
#include "app/usage.h"
#include "core/format.h"
#include "core/units.h"
#include "train/config.h"
#include "train/evaluate_checkpoint.h"

namespace lmms::app {
namespace {

struct EvalFlags {
  std::vector<std::string> words;
  bool json = false;
};

// The checkpoint is the word that is no key=value, behind the config if that is such a word too; it
// leaves `words`.
std::optional<std::string> take_checkpoint(std::vector<std::string>& words) {
  const auto names_config = [](const std::string& word) {
    return word.starts_with("config_yaml=");
  };
  size_t plain = static_cast<size_t>(std::count_if(words.begin(), words.end(), names_config));
  for (auto word = words.begin(); word != words.end(); ++word) {
    if (names_config(*word)) continue;
    if (word->find('=') != std::string::npos || word->starts_with('~')) continue;
    if (++plain == 2) {
      std::string checkpoint = *word;
      words.erase(word);
      return checkpoint;
    }
  }
  return std::nullopt;
}

// "64 trained tokens of 8 samples"; "8 samples" where they have no text.
std::string text_of_extent(const train::EvaluationResult& result) {
  const std::string samples = grouped(result.samples) + " samples";
  if (result.supervised_tokens == 0) return samples;
  return fmt::format("{} trained tokens of {}", grouped(result.supervised_tokens), samples);
}

}  // namespace

void add_eval(CLI::App& app, const train::Registries& registries, Outcome&) {
  CLI::App* command = app.add_subcommand(
      "eval",
      "The loss of a checkpoint over the evaluation set of a config, as training counts it");
  auto flags = std::make_shared<EvalFlags>();
  add_config_words(*command, flags->words,
                   "CONFIG, the checkpoint (default: the config's output_dir), and key=value over "
                   "the config",
                   "CONFIG [CHECKPOINT] [key=value ...]")
      ->required();
  command->add_flag("--json", flags->json, "The result as a JSON object");
  command->callback([flags, &registries] {
    refuse_many_ranks();
    const auto checkpoint = take_checkpoint(flags->words);
    const train::LoadedConfig loaded = train::load_train_config(flags->words, home(), registries);
    const std::string& output_dir = loaded.config.trainer.output_dir;
    if (!checkpoint && !std::filesystem::exists(output_dir)) {
      throw Error(loaded.where("trainer_args.output_dir"),
                  fmt::format("'{}' does not exist: there is nothing to evaluate yet", output_dir),
                  "train first, or name a checkpoint: lmms eval CONFIG CHECKPOINT");
    }
    const train::EvaluationResult result =
        train::evaluate_checkpoint(loaded, checkpoint.value_or(output_dir), place());
    if (flags->json) {
      nlohmann::ordered_json line = {{"eval_loss", result.loss}};
      if (const auto perplexity = result.perplexity()) line["eval_perplexity"] = *perplexity;
      for (const auto& [name, mean] : result.terms) line["eval_" + name] = mean;
      line.update({{"eval_tokens", result.tokens},
                   {"eval_supervised_tokens", result.supervised_tokens},
                   {"eval_samples", result.samples},
                   {"eval_seconds", result.seconds},
                   {"eval_skipped_samples", result.skipped_samples}});
      std::printf("%s\n", line.dump().c_str());
      return;
    }
    std::string text = fmt::format("eval_loss   {:.6f}\n", result.loss);
    if (const auto perplexity = result.perplexity())
      text += fmt::format("perplexity  {:.4f}\n", *perplexity);
    for (const auto& [name, mean] : result.terms)
      text += fmt::format("{:<11} {:.6f}\n", name, mean);
    text +=
        fmt::format("over {}, {} skipped", text_of_extent(result), grouped(result.skipped_samples));
    std::printf("%s\n", text.c_str());
  });
}

}  // namespace lmms::app
