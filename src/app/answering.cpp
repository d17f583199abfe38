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
}

generate::InferenceModel AnswerFlags::open(const models::ModelRegistry& models,
                                           generate::PromptForm form) const {
  generate::InferenceOptions options;
  if (dtype) options.dtype = *dtype == "bfloat16" ? at::kBFloat16 : at::kFloat;
  if (kernels == "plain") options.kernels = lmms::models::plain_kernels();
  options.prompting = {form, system};
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
