#include "generate/answers.h"

#include <algorithm>
#include <future>

#include "core/config/value_json.h"
#include "core/format.h"
#include "core/in_order.h"
#include "core/threads.h"
#include "data/head_limit.h"
#include "media/thumbnail.h"
#include "text/unicode/utf8.h"

namespace lmms::generate {
namespace {

constexpr size_t kShownBytes = 100;
// Rows that are shown whatever their answer, and of the others how many that are wrong.
constexpr int64_t kFirstRows = 24, kWrongRows = 24;

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

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view kBlanks = " \t\r\n";
  const size_t begin = text.find_first_not_of(kBlanks);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(kBlanks) + 1 - begin);
}

// {image: FILE or a list of them, text: ...}; nothing for another form.
std::optional<data::Message> short_form(const data::Json& prompt) {
  std::vector<std::string> images;
  const auto add = [&](const data::Json& image) {
    if (image.is_string()) images.push_back(image);
    return image.is_string();
  };
  for (const auto& [key, value] : prompt.items()) {
    const bool fits = key == "text"      ? value.is_string()
                      : key != "image"   ? false
                      : value.is_array() ? std::ranges::all_of(value, add)
                                         : add(value);
    if (!fits) return {};
  }
  const auto text = prompt.find("text");
  if (text == prompt.end()) return {};
  return user_message(*text, images);
}

Conversation conversation_of(const config::Value& prompt, int64_t number,
                             const AnswerText& expected) {
  static const auto kOrigin = std::make_shared<const std::string>("prompt");
  Conversation out;
  out.origin = {kOrigin, number};
  if (const std::string* text = prompt.string()) {
    out.messages.push_back(text_message("user", *text));
    return out;
  }
  data::Json fields = config::to_json(prompt);
  if (auto message = short_form(fields)) {
    out.messages.push_back(*std::move(message));
    return out;
  }
  return conversation_to_answer({out.origin, std::move(fields), nullptr}, expected).take();
}

std::vector<std::string> pictures_of(const Conversation& conversation) {
  std::vector<std::string> out;
  for (const media::Image& image : images_of(conversation))
    out.push_back(media::thumbnail_url(image));
  return out;
}

// Questions that wait, made, besides those of the batch that is wanted next.
int64_t ahead_of(const ThreadPool& pool) {
  return 2 * static_cast<int64_t>(pool.size());
}

}  // namespace

bool Answer::right() const {
  return expected && trimmed(*expected) == trimmed(text);
}

struct Questions::Question {
  Conversation conversation;
  data::Sample sample;
  int64_t row = 0;
};

Questions::Questions(QuestionOptions options, Prompting prompting)
    : options_(std::move(options)), prompting_(std::move(prompting)) {
  options_.generation.stop_ids = prompting_.stop_ids();
  options_.rows =
      options_.dataset ? std::min(options_.rows, options_.dataset->rows_per_epoch()) : 0;
  for (size_t i = 0; i < options_.prompts.size(); ++i) {
    try {
      conversations_.push_back(conversation_of(options_.prompts[i].value,
                                               static_cast<int64_t>(i) + 1, expected_answers()));
    } catch (const Error& e) {
      throw of_prompt(i, e.fault());
    }
  }
  check();
}

AnswerText Questions::expected_answers() const {
  return
      [this](const data::Conversation& answered) { return prompting_.expected_answer(answered); };
}

Error Questions::of_prompt(size_t prompt, const Fault& fault) const {
  return {options_.prompts[prompt].where, fault.where + ": " + fault.what, fault.fix};
}

void Questions::check() const {
  const data::HeadLimit limit;
  ThreadPool pool(options_.threads, "questions");
  InOrder questions(pool, count(), ahead_of(pool), [this](int64_t i) { return question(i); });
  const auto prompts = static_cast<int64_t>(conversations_.size());
  for (int64_t i = 0; i < prompts || !limit.reached(i); ++i) {
    const auto made = questions.next();
    if (!made) return;
    if (*made) continue;
    if (i < prompts) throw of_prompt(static_cast<size_t>(i), made->fault());
    if (!options_.skip_bad) throw Error(made->fault());
  }
}

Result<data::Sample> Questions::sample(const Conversation& conversation) const {
  try {
    if (prompting_.form() == PromptForm::chat || !conversation.media().empty())
      return prompting_.prompt(conversation);
    return prompting_.prompt(conversation.question());
  } catch (const Error& e) {
    return e.fault();
  }
}

Result<Questions::Question> Questions::question(int64_t index) const {
  Question out;
  const auto prompts = static_cast<int64_t>(conversations_.size());
  if (index < prompts) {
    out.conversation = conversations_[static_cast<size_t>(index)];
  } else {
    out.row = index - prompts + 1;
    const data::Dataset& dataset = *options_.dataset;
    const auto record = dataset.read(dataset.place(0, index - prompts));
    if (!record) return record.fault();
    auto conversation = conversation_to_answer(*record, expected_answers());
    if (!conversation) return conversation.fault();
    out.conversation = *std::move(conversation);
  }
  auto made = sample(out.conversation);
  if (!made) return made.fault();
  out.sample = *std::move(made);
  return out;
}

std::optional<Answers> Questions::answer(const step::ForwardModel& forward,
                                         const std::function<bool()>& stop) const {
  GenerationOptions generation = options_.generation;
  GenerationHooks hooks;
  hooks.stop = stop;
  const int64_t batch = options_.batch;
  ThreadPool pool(options_.threads, "questions");
  InOrder made(pool, count(), batch + ahead_of(pool), [this](int64_t i) { return question(i); });
  Answers out;
  std::vector<std::future<std::vector<std::string>>> pictures;  // of out.shown
  int64_t wrong_rows = 0;
  for (int64_t begin = 0; begin < count(); begin += batch) {
    std::vector<Question> questions;
    std::vector<data::Sample> samples;
    for (int64_t i = begin; i < std::min(begin + batch, count()); ++i) {
      auto next = made.next();
      if (!*next && !options_.skip_bad) throw Error(next->fault());
      if (!*next) {
        ++out.skipped_rows;
        continue;
      }
      samples.push_back(std::move((*next)->sample));
      questions.push_back(**std::move(next));
    }
    if (questions.empty()) continue;
    generation.first_prompt = begin;
    const auto generated = generate(forward, samples, generation, hooks);
    if (stop()) return std::nullopt;
    for (size_t i = 0; i < questions.size(); ++i) {
      Conversation& conversation = questions[i].conversation;
      Answer answer{conversation.question(),
                    prompting_.tokenizer().decode(generated[i].ids, /*skip_special=*/true),
                    static_cast<int64_t>(generated[i].ids.size()), generated[i].finished};
      answer.expected = conversation.expected;
      answer.row = questions[i].row;
      if (answer.expected) {
        ++out.exact.asked;
        out.exact.right += answer.right();
      }
      if (answer.row > kFirstRows) {
        if (!answer.expected || answer.right() || wrong_rows == kWrongRows) continue;
        ++wrong_rows;
      }
      pictures.push_back(pool.submit(
          [conversation = std::move(conversation)] { return pictures_of(conversation); }));
      out.shown.push_back(std::move(answer));
    }
  }
  for (size_t i = 0; i < pictures.size(); ++i) out.shown[i].pictures = pictures[i].get();
  return out;
}

std::string text_of(const Answer& answer) {
  return fmt::format("{} -> {}", in_brief(answer.prompt), in_brief(answer.text));
}

}  // namespace lmms::generate
