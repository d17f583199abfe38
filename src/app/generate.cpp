#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <iostream>
#include <iterator>
#include <memory>
#include <nlohmann/json.hpp>

#include "app/answering.h"
#include "app/commands.h"
#include "app/draft_view.h"
#include "app/environment.h"
#include "app/usage.h"
#include "core/error.h"
#include "core/format.h"
#include "core/signals.h"
#include "core/terminal.h"
#include "media/thumbnail.h"
#include "text/text_stream.h"
#include "train/registries.h"

namespace lmms::app {
namespace {

struct GenerateFlags {
  AnswerFlags answers;
  std::vector<std::string> prompts;
  std::vector<std::string> images, videos;
  std::vector<std::string> files;
  std::string data_folder;
  bool plain = false, json = false, draw = false;
  int64_t batch_size = 8;
};

struct Prompt {
  std::string text;      ///< to be shown
  std::string pictures;  ///< of its images, in block characters
  data::Sample sample;
};

// In colour on a terminal that does not refuse it.
std::string pictures_text(const generate::Conversation& conversation, const GenerateFlags& flags) {
  std::string out;
  if (!flags.draw || flags.json) return out;
  const bool colour = wants_colour(stdout);
  const int columns = std::min(terminal_columns(STDOUT_FILENO, 80) - 1, 60);
  for (const media::Image& image : generate::images_of(conversation))
    out += media::block_picture(image, columns, colour);
  return out;
}

std::vector<Prompt> read_prompts(const GenerateFlags& flags,
                                 const generate::InferenceModel& model) {
  if (flags.plain && !(flags.images.empty() && flags.videos.empty())) {
    throw Error(flags.images.empty() ? "--video" : "--image",
                "a plain text has no place for images and videos", "leave --plain out");
  }
  for (const std::string& video : flags.videos) check_video("--video " + video, video, model);
  for (const std::string& image : flags.images) check_image("--image " + image, image, model);
  std::vector<Prompt> out;
  const auto origin = std::make_shared<const std::string>("--prompt");
  for (const std::string& text : flags.prompts) {
    if (flags.plain || (model.prompting.fills_in(text) && flags.images.empty())) {
      out.push_back({text, "", model.prompting.prompt(text)});
      continue;
    }
    std::vector<data::Part> media;
    for (const std::string& image : flags.images)
      media.push_back(generate::medium(data::Part::Kind::image, image));
    for (const std::string& video : flags.videos)
      media.push_back(generate::medium(data::Part::Kind::video, video));
    generate::Conversation conversation;
    conversation.origin = {origin, static_cast<int64_t>(out.size()) + 1};
    conversation.messages.push_back(generate::user_message(std::move(media), text));
    out.push_back(
        {text, pictures_text(conversation, flags), generate::prompt_of(model, conversation)});
  }
  for (const std::string& file : flags.files) {
    for (const generate::Conversation& conversation :
         generate::read_conversations(file, flags.data_folder))
      out.push_back({conversation.question(), pictures_text(conversation, flags),
                     generate::prompt_of(model, conversation)});
  }
  return out;
}

void print_json(const Prompt& prompt, const std::string& answer, const generate::Generated& out) {
  nlohmann::ordered_json line = {{"prompt", prompt.text},
                                 {"answer", answer},
                                 {"prompt_ids", prompt.sample.text.input_ids},
                                 {"ids", out.ids},
                                 {"finished", out.finished}};
  if (out.steps > 0) line["steps"] = out.steps;
  std::printf("%s\n", line.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace).c_str());
}

// A single prompt of a model that fills in masks, drawn in place. An interrupt leaves what is
// settled from the front.
void draw_answer(const Prompt& prompt, const generate::InferenceModel& model,
                 const generate::GenerationOptions& options) {
  const text::Tokenizer& tokenizer = model.prompting.tokenizer();
  DraftView view(tokenizer, options.unmasking->mask_id, options.stop_ids, terminal_screen());
  generate::GenerationHooks hooks;
  hooks.draft = [&](size_t, std::span<const int32_t> ids) { view.show(ids); };
  int ended_by = 0;
  {
    const StopSignals signals;
    hooks.stop = [&] { return signals.received() != 0; };
    const auto out =
        generate::generate(model.forward(), std::span(&prompt.sample, 1), options, hooks);
    view.clear();
    ended_by = signals.received();
    std::printf("%s%s\n", shown(tokenizer.decode(out[0].ids, /*skip_special=*/true)).c_str(),
                ended_by != 0 ? " [stopped]" : "");
    std::fflush(stdout);
  }
  if (ended_by != 0) std::raise(ended_by);
}

// One batch; a single prompt's answer is shown while it is written.
void answer(std::span<const Prompt> prompts, bool heads, const GenerateFlags& flags,
            const generate::InferenceModel& model, const generate::GenerationOptions& options) {
  const text::Tokenizer& tokenizer = model.prompting.tokenizer();
  std::vector<data::Sample> samples;
  for (const Prompt& prompt : prompts) samples.push_back(prompt.sample);
  text::TextStream stream(tokenizer);
  const bool streams = prompts.size() == 1 && !flags.json;
  generate::GenerationHooks hooks;
  if (streams) {
    std::fputs(prompts[0].pictures.c_str(), stdout);
    if (heads) std::printf("> %s\n", shown(prompts[0].text).c_str());
    if (options.unmasking && draws_in_place(stdout)) return draw_answer(prompts[0], model, options);
    hooks.token = [&](size_t, int32_t id) {
      std::fputs(shown(stream.add(id)).c_str(), stdout);
      std::fflush(stdout);
    };
  }
  const auto out = generate::generate(model.forward(), samples, options, hooks);
  for (size_t b = 0; b < out.size(); ++b) {
    const std::string text = tokenizer.decode(out[b].ids, /*skip_special=*/true);
    if (flags.json) {
      print_json(prompts[b], text, out[b]);
    } else if (streams) {
      std::printf("%s\n", shown(stream.finish()).c_str());
    } else {
      std::printf("%s> %s\n%s\n", prompts[b].pictures.c_str(), shown(prompts[b].text).c_str(),
                  shown(text).c_str());
    }
    if (heads && !flags.json) std::printf("\n");
  }
}

}  // namespace

void add_generate(CLI::App& app, train::Registries& registries, Outcome&) {
  CLI::App* command = app.add_subcommand("generate", "Let a model answer prompts");
  auto flags = std::make_shared<GenerateFlags>();
  flags->answers.add_to(*command);
  command
      ->add_option("--prompt", flags->prompts,
                   "A text to answer; - reads it from the standard input; may be given again. A "
                   "model that fills in masks does so where the text has some")
      ->type_name("TEXT")
      ->allow_extra_args(false);
  command
      ->add_option("--image", flags->images,
                   "An image, put before the text of every --prompt; may be given again")
      ->type_name("FILE")
      ->allow_extra_args(false);
  command
      ->add_option("--video", flags->videos, "A video, put behind the images; may be given again")
      ->type_name("FILE")
      ->allow_extra_args(false);
  command
      ->add_option("--messages", flags->files,
                   "A .json or .jsonl file of conversations, in any form that training reads")
      ->type_name("FILE")
      ->allow_extra_args(false);
  command
      ->add_option("--data-folder", flags->data_folder,
                   "The folder that paths of images in --messages are relative to")
      ->type_name("DIR");
  command->add_flag("--draw", flags->draw, "Draw the images of a prompt above its answer");
  command->add_flag("--plain", flags->plain,
                    "Continue the prompts as they are, without the layout of a chat");
  command->add_option("--batch-size", flags->batch_size, "Prompts answered together")
      ->check(at_least(1))
      ->capture_default_str();
  command->add_flag("--json", flags->json, "An object a prompt: texts, ids, whether it finished");
  add_plugin_option(*command, registries);
  command->callback([flags, &registries] {
    const bool seen = !flags->images.empty() || !flags->videos.empty();
    if (flags->prompts.empty() && (flags->files.empty() || seen)) {
      throw Error("lmms generate", "nothing to answer",
                  seen ? "give --prompt TEXT beside --image and --video"
                       : "give --prompt TEXT or --messages FILE");
    }
    for (std::string& text : flags->prompts)
      if (text == "-") text.assign(std::istreambuf_iterator<char>(std::cin), {});
    const auto form = flags->plain ? generate::PromptForm::plain : generate::PromptForm::chat;
    const bool texts = flags->files.empty() && !seen;
    const generate::InferenceModel model = flags->answers.open(
        registries.models, form, texts ? flags->prompts : std::vector<std::string>());
    generate::GenerationOptions options = flags->answers.generation(model);
    const std::vector<Prompt> prompts = read_prompts(*flags, model);
    for (const Prompt& prompt : prompts) generate::warn_if_too_long(model, prompt.sample);
    const auto batch = static_cast<size_t>(flags->batch_size);
    for (size_t begin = 0; begin < prompts.size(); begin += batch) {
      const size_t n = std::min(batch, prompts.size() - begin);
      options.first_prompt = static_cast<int64_t>(begin);
      answer(std::span(prompts).subspan(begin, n), prompts.size() > 1, *flags, model, options);
    }
  });
}

}  // namespace lmms::app
