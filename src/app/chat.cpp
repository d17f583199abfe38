#include <unistd.h>

#include <cstdio>
#include <iostream>
#include <memory>

#include "app/answering.h"
#include "app/commands.h"
#include "core/error.h"
#include "core/format.h"
#include "core/signals.h"
#include "text/text_stream.h"
#include "train/registries.h"

namespace lmms::app {
namespace {

constexpr const char* kHelp =
    "Write, and the model answers. Ctrl-C stops an answer, Ctrl-D or /exit leaves.\n"
    "  /image FILE     show it an image: the next turn is about it\n"
    "  /reset          begin a new conversation\n"
    "  /system TEXT    begin a new one with this system turn\n"
    "  /again          answer the last turn anew, with other draws\n"
    "  /help           this list\n";

class Chat {
 public:
  Chat(const generate::InferenceModel& model, const generate::GenerationOptions& options,
       std::optional<std::string> system, const std::vector<std::string>& images)
      : model_(model), options_(options), system_(std::move(system)) {
    reset();
    for (const std::string& image : images) show(image);
  }

  void run() {
    const bool person = ::isatty(STDIN_FILENO) != 0;
    if (person) std::printf("%s. /help says what else.\n", model_.folder.string().c_str());
    for (std::string line; prompt(person), std::getline(std::cin, line);) {
      if (line == "/exit" || line == "/quit") return;
      obey_or_answer(line);
    }
    if (person) std::printf("\n");
  }

 private:
  static void prompt(bool person) {
    if (!person) return;
    std::fputs("> ", stdout);
    std::fflush(stdout);
  }

  void obey_or_answer(const std::string& line) {
    constexpr std::string_view kSystem = "/system ", kImage = "/image ";
    constexpr const char* kBlanks = " \t\r\n";
    if (line.find_first_not_of(kBlanks) == std::string::npos) return;
    if (line == "/reset") {
      reset();
    } else if (line.starts_with(kSystem)) {
      system_ = line.substr(kSystem.size());
      reset();
    } else if (line.starts_with(kImage)) {
      try_to([&] { show(line.substr(kImage.size())); });
    } else if (line == "/again") {
      answer_anew();
    } else if (line.starts_with('/') && line.find(' ') == std::string::npos && line != "/help") {
      const char* what = line == "/system"  ? "wants a text"
                         : line == "/image" ? "wants a file"
                                            : "is no command";
      std::printf("%s %s.\n%s", shown(line).c_str(), what, kHelp);
    } else if (line == "/help") {
      std::fputs(kHelp, stdout);
    } else {
      conversation_.messages.push_back(generate::user_message(line, images_));
      images_.clear();
      if (!try_to([&] { answer(); })) conversation_.messages.pop_back();
    }
  }

  // What is wrong with an image or a turn ends that turn, not the conversation.
  template <class F>
  static bool try_to(F f) {
    try {
      f();
      return true;
    } catch (const Error& e) {
      std::printf("%s\n", shown(e.what()).c_str());
      return false;
    }
  }

  /// The next turn begins with this image.
  void show(const std::string& image) {
    check_image("image " + image, image, model_);
    images_.push_back(image);
  }

  void reset() {
    conversation_.origin = {std::make_shared<const std::string>("chat"), 1};
    conversation_.messages.clear();
    images_.clear();
    if (system_) conversation_.messages.push_back(generate::text_message("system", *system_));
  }

  void answer_anew() {
    auto& messages = conversation_.messages;
    if (messages.empty() || messages.back().role != "assistant") {
      std::printf("There is no answer yet.\n");
      return;
    }
    messages.pop_back();
    answer();
  }

  void answer() {
    const data::Sample prompt = generate::prompt_of(model_, conversation_);
    generate::warn_if_too_long(model_, prompt);
    text::TextStream stream(model_.prompting.tokenizer());
    std::string text;
    const auto show = [&](const std::string& piece) {
      text += piece;
      std::fputs(shown(piece).c_str(), stdout);
      std::fflush(stdout);
    };
    const StopSignals signals;  // one ends the answer, not the program
    generate::GenerationHooks hooks;
    hooks.kept = &kept_;
    hooks.token = [&](size_t, int32_t id) { show(stream.add(id)); };
    hooks.stop = [&] { return signals.received() != 0; };
    const auto out = generate::generate(model_.forward(), std::span(&prompt, 1), options_, hooks);
    show(stream.finish());
    const bool cut = !out[0].finished && signals.received() == 0;
    std::printf("%s\n", cut ? fmt::format(" [cut after {} tokens: --max-new-tokens]",
                                          options_.max_new_tokens)
                                  .c_str()
                            : "");
    conversation_.messages.push_back(generate::text_message("assistant", text));
    ++options_.sampling.seed;  // another answer draws anew
  }

  const generate::InferenceModel& model_;
  generate::GenerationOptions options_;
  std::optional<std::string> system_;
  generate::Conversation conversation_;
  std::vector<std::string> images_;  // of the next turn
  generate::KeptPrefix kept_;
};

}  // namespace

void add_chat(CLI::App& app, const train::Registries& registries, Outcome&) {
  CLI::App* command = app.add_subcommand("chat", "Talk with a model in the terminal");
  auto flags = std::make_shared<AnswerFlags>();
  auto images = std::make_shared<std::vector<std::string>>();
  flags->add_to(*command);
  command
      ->add_option("--image", *images, "An image that the first turn is about; may be given again")
      ->type_name("FILE")
      ->allow_extra_args(false);
  command->callback([flags, images, &registries] {
    const generate::InferenceModel model =
        flags->open(registries.models, generate::PromptForm::chat);
    Chat(model, flags->generation(model), flags->system, *images).run();
  });
}

}  // namespace lmms::app
