#include "train/generation/answers.h"

#include "core/format.h"
#include "text/unicode/utf8.h"

namespace lmms::train {
namespace {

// Prompts that are answered together.
constexpr size_t kBatch = 16;
constexpr size_t kShownBytes = 100;

// On one line, cut between characters.
std::string in_brief(std::string text) {
  for (char& c : text) {
    if (static_cast<unsigned char>(c) < 0x20) c = ' ';
  }
  if (text.size() <= kShownBytes) return text;
  text.resize(kShownBytes);
  text.resize(text::unicode::valid_prefix(text));
  return text + "...";
}

}  // namespace

Prompting prompting_of(const LoadedConfig& loaded, const RunProcessor& processing,
                       const models::Model& model) {
  const bool plain = loaded.config.dataset.processor.processor_type == "pure_text";
  const std::optional<std::string>& system = loaded.config.trainer.eval_generate.system;
  auto processor = system ? make_processor(loaded, processing.tokenizer,
                                           processing.tokenizer_folder, model.config(), system)
                          : processing.processor;
  return Prompting(std::move(processor), processing.tokenizer, model.config(), nullptr,
                   plain ? PromptForm::plain : PromptForm::chat);
}

std::optional<std::vector<Answer>> answer(const models::LanguageModel& model,
                                          const Prompting& prompting, const EvalGenerate& options,
                                          uint64_t seed, c10::Device device,
                                          const std::function<bool()>& stop) {
  GenerationOptions generation;
  generation.sampling.temperature = options.temperature;
  generation.sampling.top_k = options.top_k;
  generation.sampling.top_p = options.top_p;
  generation.sampling.seed = seed;
  generation.max_new_tokens = options.max_new_tokens;
  generation.stop_ids = prompting.stop_ids();
  GenerationHooks hooks;
  hooks.stop = stop;
  std::vector<Answer> out;
  for (size_t begin = 0; begin < options.prompts.size(); begin += kBatch) {
    const size_t end = std::min(begin + kBatch, options.prompts.size());
    std::vector<data::Sample> prompts;
    for (size_t i = begin; i < end; ++i) prompts.push_back(prompting.prompt(options.prompts[i]));
    generation.first_prompt = static_cast<int64_t>(begin);
    const auto generated = generate(model, prompts, generation, device, hooks);
    if (stop()) return std::nullopt;
    for (size_t i = begin; i < end; ++i) {
      const Generated& g = generated[i - begin];
      out.push_back({options.prompts[i], prompting.tokenizer().decode(g.ids, /*skip_special=*/true),
                     static_cast<int64_t>(g.ids.size()), g.finished});
    }
  }
  return out;
}

std::string text_of(const Answer& answer) {
  return fmt::format("{} -> {}", in_brief(answer.prompt), in_brief(answer.text));
}

}  // namespace lmms::train
