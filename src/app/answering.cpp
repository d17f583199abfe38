#include "app/answering.h"

#include "app/environment.h"
#include "app/usage.h"
#include "core/error.h"
#include "core/format.h"
#include "media/image.h"
#include "media/source.h"
#include "media/video.h"
#include "models/patch.h"

namespace lmms::app {
namespace {

std::vector<std::string> remasking_names() {
  std::vector<std::string> names;
  for (const auto& entry : generate::enum_names(generate::Remasking{}))
    names.emplace_back(entry.name);
  return names;
}

}  // namespace

void AnswerFlags::add_to(CLI::App& command) {
  command
      .add_option("checkpoint", model,
                  "A model's folder, the output folder of a run, or a hub id in the local cache")
      ->required()
      ->type_name("CHECKPOINT");
  command.add_option("--system", system, "The system turn of a conversation that has none")
      ->type_name("TEXT");
  command.add_option("--max-new-tokens", max_new_tokens, "Tokens of an answer at most")
      ->check(at_least(0))
      ->capture_default_str();
  const std::string settings = " (default: generation_config.json)";
  command.add_flag("--greedy", greedy,
                   "Always the most likely token, whatever generation_config.json says");
  command
      .add_option("--temperature", temperature,
                  "Divides the logits before a token is drawn; 0: greedy" + settings)
      ->check(at_least(0));
  command.add_option("--top-k", top_k, "Of the K most likely tokens; 0: of all" + settings)
      ->check(at_least(0));
  command
      .add_option("--top-p", top_p,
                  "Of the fewest tokens that together have this probability" + settings)
      ->check(CLI::Range(0.0, 1.0));
  command
      .add_option("--repetition-penalty", repetition_penalty,
                  "Above 1: tokens that are there already become less likely" + settings)
      ->check(above(0));
  command.add_option("--seed", seed, "Of the draws; the same seed gives the same answers")
      ->capture_default_str();
  command.add_option("--dtype", dtype, "Number type of the weights (default: the checkpoint's)")
      ->check(CLI::IsMember({"float32", "bfloat16"}));
  command
      .add_option(
          "--kernels", kernels,
          "plain: ATen's in place of the fused ones, as trainer_args.use_liger_kernel=false "
          "trains")
      ->check(CLI::IsMember({"fused", "plain"}))
      ->capture_default_str();
  command.add_flag("--cpu", use_cpu, "The CPU even where there is a GPU");
  unmasking.add_to(command);
}

void UnmaskingFlags::add_to(CLI::App& command) {
  const std::string group = "Checkpoints that fill in masks (dllm_trainer)";
  command
      .add_option("--diffusion-steps", diffusion_steps,
                  "Steps in which the masks of an answer become tokens; 0: one a token")
      ->check(at_least(0))
      ->group(group);
  command
      .add_option("--block-length", block_length,
                  "An answer is filled in block after block of so many tokens; 0: at once, or in "
                  "blocks as the model was trained")
      ->check(at_least(0))
      ->group(group);
  command
      .add_option("--remasking", remasking,
                  "Which predictions of a step are masked again (default: low_confidence)")
      ->check(CLI::IsMember(remasking_names()))
      ->group(group);
  command
      .add_option("--confidence-threshold", confidence_threshold,
                  "A step also settles every token of at least this probability")
      ->check(CLI::Range(0.0, 1.0))
      ->group(group);
  command
      .add_option("--guidance", guidance,
                  "Above 1: away from what the model would write without the prompt; 1: not")
      ->check(at_least(0))
      ->group(group);
}

std::optional<generate::UnmaskingOptions> UnmaskingFlags::over(
    const generate::InferenceModel& model) const {
  auto options = model.unmasking;
  if (!options) {
    const char* given = diffusion_steps        ? "--diffusion-steps"
                        : block_length         ? "--block-length"
                        : remasking            ? "--remasking"
                        : confidence_threshold ? "--confidence-threshold"
                        : guidance             ? "--guidance"
                                               : nullptr;
    if (given == nullptr) return options;
    throw Error(given,
                fmt::format("the model in {} writes one token after another: its config.json has "
                            "no mask_token_id",
                            model.folder.string()),
                "leave it out");
  }
  if (diffusion_steps) options->steps = *diffusion_steps;
  if (block_length) generate::set_block_length(*options, *block_length, "--block-length");
  if (guidance) options->guidance = *guidance;
  if (confidence_threshold) options->confidence_threshold = confidence_threshold;
  for (const auto& [value, name] : generate::enum_names(generate::Remasking{}))
    if (name == remasking) options->remasking = value;
  return options;
}

generate::InferenceModel AnswerFlags::open(const models::ModelRegistry& models,
                                           generate::PromptForm form,
                                           const std::vector<std::string>& texts) const {
  generate::InferenceOptions options;
  if (dtype) options.dtype = *dtype == "bfloat16" ? at::kBFloat16 : at::kFloat;
  if (kernels == "plain") options.kernels = lmms::models::plain_kernels();
  options.prompting = {form, system};
  options.texts = texts;
  const train::Place here = place();
  options.device = here.device(use_cpu);
  return generate::open_model(models, model, here.hub_cache, options);
}

generate::GenerationOptions AnswerFlags::generation(const generate::InferenceModel& model) const {
  generate::GenerationOptions options;
  options.max_new_tokens = max_new_tokens;
  options.stop_ids = model.prompting.stop_ids();
  generate::SamplingOptions& sampling = options.sampling;
  if (!greedy) sampling = generate::sampling_of(model.generation_config);
  if (temperature) sampling.temperature = *temperature;
  if (top_k) sampling.top_k = *top_k;
  if (top_p) sampling.top_p = *top_p;
  if (repetition_penalty) sampling.repetition_penalty = *repetition_penalty;
  sampling.seed = seed;
  options.unmasking = unmasking.over(model);
  if (options.unmasking && sampling.repetition_penalty != 1) {
    if (repetition_penalty) {
      throw Error("--repetition-penalty", "the model fills in masks, many at a time",
                  "leave it out");
    }
    sampling.repetition_penalty = 1;  // of generation_config.json
  }
  return options;
}

namespace {

// The bytes of an image or video.
std::string read_medium(const std::string& where, const std::string& source,
                        const generate::InferenceModel& model) {
  if (!model.sees()) {
    throw Error(where,
                fmt::format("the model in {} ({}) takes text alone", model.folder.string(),
                            model.network.model->config().value("model_type", "?")),
                "take a model that sees, such as Qwen2.5-VL");
  }
  auto bytes = media::read_source(std::string_view(source), "");
  if (!bytes) throw Error(where, bytes.fault().what, "give the path of a file");
  return *std::move(bytes);
}

}  // namespace

std::string check_image(const std::string& where, const std::string& image,
                        const generate::InferenceModel& model) {
  const std::string bytes = read_medium(where, image, model);
  const auto pixels = media::decode(std::as_bytes(std::span(bytes)));
  if (!pixels) throw Error(where, pixels.fault().what, pixels.fault().fix);
  return fmt::format("{} x {}", pixels->width(), pixels->height());
}

std::string check_video(const std::string& where, const std::string& video,
                        const generate::InferenceModel& model) {
  const std::string bytes = read_medium(where, video, model);
  const auto info = media::probe_video(std::as_bytes(std::span(bytes)));
  if (!info) throw Error(where, info.fault().what, info.fault().fix);
  return fmt::format("{} x {}, {:.1f} s", info->width, info->height, info->seconds);
}

std::string shown(const std::string& text) {
  std::string out;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if ((byte < 0x20 && c != '\n' && c != '\t') || byte == 0x7F) {
      out += '^';
      out += static_cast<char>(byte ^ 0x40);
    } else {
      out += c;
    }
  }
  return out;
}

}  // namespace lmms::app
