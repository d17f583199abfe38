#include "train/generate_setup.h"

#include "core/format.h"

namespace lmms::train {
namespace {

generate::Prompting prompting_of(const LoadedConfig& loaded, const RunProcessor& processing,
                                 const models::Model& model,
                                 const nlohmann::json& checkpoint_config) {
  const bool plain = loaded.config.dataset.plain_text();
  const std::optional<std::string>& system = loaded.config.trainer.eval_generate.system;
  auto processor = system ? make_processor(loaded, processing.tokenizer,
                                           processing.tokenizer_folder, model.config(), system)
                          : processing.processor;
  return generate::Prompting(std::move(processor), *processing.tokenizer, checkpoint_config,
                             nullptr,
                             plain ? generate::PromptForm::plain : generate::PromptForm::chat);
}

// As the checkpoints will fill in masks, with the settings of eval_generate.
std::optional<generate::UnmaskingOptions> unmasking_of(const LoadedConfig& loaded,
                                                       const nlohmann::json& checkpoint_config) {
  const EvalGenerate& c = loaded.config.trainer.eval_generate;
  auto options = generate::unmasking_of(checkpoint_config, "config.json");
  if (!options) return options;
  options->steps = c.diffusion_steps;
  options->confidence_threshold = c.confidence_threshold;
  generate::set_block_length(*options, c.block_length,
                             loaded.where("trainer_args.eval_generate.block_length"));
  return options;
}

}  // namespace

generate::Questions make_questions(const LoadedConfig& loaded, const RunData& data,
                                   const models::Model& model,
                                   const nlohmann::json& checkpoint_config) {
  const TrainerArgs& args = loaded.config.trainer;
  const EvalGenerate& c = args.eval_generate;
  generate::QuestionOptions options;
  for (size_t i = 0; i < c.prompts.size(); ++i) {
    options.prompts.push_back(
        {c.prompts[i].value,
         loaded.where(fmt::format("trainer_args.eval_generate.prompts[{}]", i))});
  }
  options.dataset = data.evaluation.dataset;
  options.rows = c.rows;
  options.generation.sampling = {.temperature = c.temperature,
                                 .top_k = c.top_k,
                                 .top_p = c.top_p,
                                 .seed = static_cast<uint64_t>(args.seed)};
  options.generation.max_new_tokens = c.max_new_tokens;
  options.generation.unmasking = unmasking_of(loaded, checkpoint_config);
  options.batch = args.per_device_eval_batch_size;
  options.skip_bad = loaded.config.dataset.on_bad_sample == data::OnBadSample::skip;
  options.threads = data::loader_threads(static_cast<int>(args.dataloader_num_workers));
  return {std::move(options), prompting_of(loaded, data.processing, model, checkpoint_config)};
}

}  // namespace lmms::train
