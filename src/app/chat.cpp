#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <filesystem>
#include <iostream>
#include <memory>
#include <optional>
#include <utility>

#include "app/answering.h"
#include "app/chat_commands.h"
#include "app/chat_history.h"
#include "app/commands.h"
#include "app/draft_view.h"
#include "app/environment.h"
#include "app/line_editor.h"
#include "app/usage.h"
#include "core/error.h"
#include "core/format.h"
#include "core/signals.h"
#include "text/text_stream.h"
#include "train/registries.h"

namespace lmms::app {
namespace {

/// Where lines come from: a person at a terminal, whose lines are edited and remembered, or a pipe.
class ChatInput {
 public:
  ChatInput() : person_(::isatty(STDIN_FILENO) != 0) {
    if (!person_ || ::isatty(STDOUT_FILENO) == 0) return;
    const std::filesystem::path state = state_folder();
    history_.emplace(state.empty() ? state : state / "lmms" / "chat_history");
    editor_.emplace([](std::string_view before) { return complete_chat_line(before, home()); });
    for (const std::string& line : history_->lines()) editor_->remember(line);
    // Between prompts and answers an interrupt has nothing to stop, and ends nothing.
    std::signal(SIGINT, [](int) {});
  }

  /// Whether somebody sits there.
  bool person() const { return person_; }

  /// The next line; nothing at the end.
  std::optional<std::string> next(const std::string& prompt) {
    if (editor_) return edited(prompt);
    if (person_) {
      std::fputs(prompt.c_str(), stdout);
      std::fflush(stdout);
    }
    std::string line;
    if (!std::getline(std::cin, line)) return std::nullopt;
    return line;
  }

 private:
  std::optional<std::string> edited(const std::string& prompt) {
    using Kind = LineEditor::Line::Kind;
    for (;;) {
      LineEditor::Line line = editor_->read(prompt);
      if (line.kind == Kind::end) return std::nullopt;
      if (line.kind == Kind::text) {
        if (line.text.find_first_not_of(" \t\n") == std::string::npos) continue;
        editor_->remember(line.text);
        history_->add(line.text);
        return std::move(line.text);
      }
      if (line.kind == Kind::refused && !std::exchange(told_, true))
        std::printf("Ctrl-D or /quit leaves.\n");
    }
  }

  bool person_;
  bool told_ = false;  // how to leave
  std::optional<ChatHistory> history_;
  std::optional<LineEditor> editor_;
};

class Chat {
 public:
  Chat(const generate::InferenceModel& model, const generate::GenerationOptions& options,
       std::optional<std::string> system)
      : model_(model), options_(options), system_(std::move(system)) {
    reset();
  }

  /// The next message is about this image or video. Throws Error.
  void show(data::Part::Kind kind, const std::string& path) {
    const bool video = kind == data::Part::Kind::video;
    const std::string where = (video ? "video " : "image ") + path;
    const std::string size =
        video ? check_video(where, path, model_) : check_image(where, path, model_);
    media_.push_back(generate::medium(kind, path));
    if (input_.person())
      std::printf("%s: %s. Your next message is about it.\n", shown(path).c_str(), size.c_str());
  }

  void greet() const {
    if (!input_.person()) return;
    std::printf("%s%s. /help says what else, Ctrl-D leaves.\n",
                shown(model_.folder.string()).c_str(),
                model_.sees() ? " sees images and videos (/image FILE)" : "");
  }

  /// bad_input: lines of a pipe could not be obeyed or answered. A person has read so.
  Exit run() {
    std::optional<std::string> line;
    do {
      line = input_.next(prompt());
    } while (line && obey_or_answer(*line));
    if (!line && input_.person()) std::printf("\n");  // behind Ctrl-D
    std::fflush(stdout);
    if (ended_by_ != 0) std::raise(ended_by_);
    return failed_ && !input_.person() ? Exit::bad_input : Exit::done;
  }

 private:
  std::string prompt() const {
    if (media_.empty()) return "> ";
    return fmt::format("[{} attached] > ", media_.size());
  }

  /// What came of a message.
  enum class Came { answer, nothing };

  /// False: the talk is over.
  bool obey_or_answer(const std::string& line) {
    using Kind = ChatLine::Kind;
    const ChatLine read = read_chat_line(line);
    switch (read.kind) {
      case Kind::nothing:
        return true;
      case Kind::quit:
        return false;
      case Kind::help:
        std::fputs(chat_help().c_str(), stdout);
        return true;
      case Kind::reset:
        reset();
        return true;
      case Kind::system:
        if (read.rest.empty()) return refuse("/system wants a text");
        system_ = read.rest;
        reset();
        return true;
      case Kind::image:
      case Kind::video:
        return attach(read);
      case Kind::again:
        return answer_anew();
      case Kind::unknown:
        return refuse(read.rest);
      case Kind::text:
        break;
    }
    if (media_.empty() && model_.prompting.fills_in(read.rest)) {
      fill_in(read.rest);
    } else if (answer_turn(generate::user_message(media_, read.rest)) == Came::answer) {
      media_.clear();
    }
    return ended_by_ == 0;
  }

  /// A text with masks in it is filled in and is no part of the talk.
  void fill_in(const std::string& text) {
    generate::Conversation talk = std::exchange(conversation_, {});
    conversation_.origin = talk.origin;
    (void)answer_turn(generate::user_message(text));
    conversation_ = std::move(talk);
  }

  /// What is wrong: said to the person, or beside the answers, which a program may read.
  void complain(const std::string& text) {
    failed_ = true;
    std::fflush(stdout);
    const bool seen = input_.person() && ::isatty(STDOUT_FILENO) != 0;
    std::fprintf(seen ? stdout : stderr, "%s\n", text.c_str());
  }

  bool refuse(const std::string& why) {
    complain(shown(why) + "; /help lists what there is.");
    return true;
  }

  // What is wrong with an image or a turn ends that turn, not the conversation.
  template <class F>
  bool try_to(F f) {
    try {
      f();
      return true;
    } catch (const Error& e) {
      complain(shown(e.what()));
      return false;
    }
  }

  bool attach(const ChatLine& line) {
    const bool video = line.kind == ChatLine::Kind::video;
    if (line.rest.empty())
      return refuse(std::string(video ? "/video" : "/image") + " wants a file");
    std::vector<std::string> paths;
    try_to([&] { paths = paths_of(line.rest, home()); });
    for (const std::string& path : paths)
      try_to([&] { show(video ? data::Part::Kind::video : data::Part::Kind::image, path); });
    return true;
  }

  void reset() {
    conversation_.origin = {std::make_shared<const std::string>("chat"), 1};
    conversation_.messages.clear();
    media_.clear();
    if (system_) conversation_.messages.push_back(generate::text_message("system", *system_));
  }

  bool answer_anew() {
    auto& messages = conversation_.messages;
    if (messages.empty() || messages.back().role != "assistant") {
      complain("There is no answer yet.");
      return true;
    }
    std::vector<data::Message> before = messages;
    messages.pop_back();
    data::Message turn = std::move(messages.back());
    messages.pop_back();
    if (answer_turn(std::move(turn)) == Came::nothing) messages = std::move(before);
    return ended_by_ == 0;
  }

  /// Adds the user's turn and its answer; neither if there is none.
  Came answer_turn(data::Message turn) {
    const StopSignals signals;  // SIGINT ends the answer, not the program
    conversation_.messages.push_back(std::move(turn));
    std::string text;
    const bool whole = try_to([&] { text = answer(signals); });
    const bool stopped = signals.received() != 0;
    if (stopped) std::printf(" [stopped]\n");
    if (stopped && signals.received() != SIGINT) ended_by_ = signals.received();
    if (!whole || (stopped && text.empty())) {
      conversation_.messages.pop_back();
      return Came::nothing;
    }
    conversation_.messages.push_back(generate::text_message("assistant", text));
    return Came::answer;
  }

  std::string answer(const StopSignals& signals) {
    const data::Sample prompt = generate::prompt_of(model_, conversation_);
    generate::warn_if_too_long(model_, prompt);
    if (options_.unmasking && draws_in_place(stdout)) return draw_answer(prompt, signals);
    text::TextStream stream(model_.prompting.tokenizer());
    std::string text;
    const auto show = [&](const std::string& piece) {
      text += piece;
      std::fputs(shown(piece).c_str(), stdout);
      std::fflush(stdout);
    };
    generate::GenerationHooks hooks;
    hooks.kept = &kept_;
    hooks.token = [&](size_t, int32_t id) { show(stream.add(id)); };
    hooks.stop = [&] { return signals.received() != 0; };
    const auto out = generate::generate(model_.forward(), std::span(&prompt, 1), options_, hooks);
    show(stream.finish());
    close_answer(out[0], signals);
    return text;
  }

  // The same of a model that fills in masks, drawn in place.
  std::string draw_answer(const data::Sample& prompt, const StopSignals& signals) {
    const text::Tokenizer& tokenizer = model_.prompting.tokenizer();
    DraftView view(tokenizer, options_.unmasking->mask_id, options_.stop_ids, terminal_screen());
    generate::GenerationHooks hooks;
    hooks.draft = [&](size_t, std::span<const int32_t> ids) { view.show(ids); };
    hooks.stop = [&] { return signals.received() != 0; };
    const auto out = generate::generate(model_.forward(), std::span(&prompt, 1), options_, hooks);
    view.clear();
    std::string text = tokenizer.decode(out[0].ids, /*skip_special=*/true);
    std::fputs(shown(text).c_str(), stdout);
    close_answer(out[0], signals);
    return text;
  }

  void close_answer(const generate::Generated& out, const StopSignals& signals) {
    ++options_.sampling.seed;  // another answer draws anew
    if (signals.received() != 0) return;
    std::printf("%s\n", out.finished ? ""
                                     : fmt::format(" [cut after {} tokens: --max-new-tokens]",
                                                   options_.max_new_tokens)
                                           .c_str());
  }

  const generate::InferenceModel& model_;
  generate::GenerationOptions options_;
  std::optional<std::string> system_;
  generate::Conversation conversation_;
  std::vector<data::Part> media_;  // of the next message
  generate::KeptPrefix kept_;
  int ended_by_ = 0;     // a signal that ends programs
  bool failed_ = false;  // a line could not be obeyed or answered
  ChatInput input_;
};

}  // namespace

void add_chat(CLI::App& app, train::Registries& registries, Outcome& outcome) {
  CLI::App* command = app.add_subcommand("chat", "Talk with a model in the terminal");
  auto flags = std::make_shared<AnswerFlags>();
  auto images = std::make_shared<std::vector<std::string>>();
  auto videos = std::make_shared<std::vector<std::string>>();
  flags->add_to(*command);
  command
      ->add_option("--image", *images, "An image that the first turn is about; may be given again")
      ->type_name("FILE")
      ->allow_extra_args(false);
  command->add_option("--video", *videos, "A video that it is about; may be given again")
      ->type_name("FILE")
      ->allow_extra_args(false);
  add_plugin_option(*command, registries);
  command->callback([flags, images, videos, &registries, &outcome] {
    const generate::InferenceModel model =
        flags->open(registries.models, generate::PromptForm::chat);
    Chat chat(model, flags->generation(model), flags->system);
    chat.greet();
    for (const std::string& image : *images) chat.show(data::Part::Kind::image, image);
    for (const std::string& video : *videos) chat.show(data::Part::Kind::video, video);
    outcome.exit = chat.run();
  });
}

}  // namespace lmms::app
