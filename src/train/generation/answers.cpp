#include "train/generation/answers.h"

#include <algorithm>
#include <future>

#include "core/config/value_json.h"
#include "core/format.h"
#include "core/in_order.h"
#include "core/log.h"
#include "media/thumbnail.h"
#include "text/unicode/utf8.h"
#include "train/head_limit.h"

namespace lmms::train {
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

Conversation conversation_of(const EvalPrompt& prompt, int64_t number,
                             const text::ToolLayout& layout) {
  static const auto kOrigin = std::make_shared<const std::string>("prompt");
  Conversation out;
  out.origin = {kOrigin, number};
  if (const std::string* text = prompt.value.string()) {
    out.messages.push_back(text_message("user", *text));
    return out;
  }
  data::Json fields = config::to_json(prompt.value);
  if (auto message = short_form(fields)) {
    out.messages.push_back(*std::move(message));
    return out;
  }
  return conversation_to_answer({out.origin, std::move(fields), nullptr}, layout).take();
}

std::vector<std::string> pictures_of(const Conversation& conversation) {
  std::vector<std::string> out;
  for (const media::Image& image : images_of(conversation))
    out.push_back(media::thumbnail_url(image));
  return out;
}

Error of_prompt(const LoadedConfig& loaded, size_t prompt, const Fault& fault) {
  return {loaded.where(fmt::format("trainer_args.eval_generate.prompts[{}]", prompt)),
          fault.where + ": " + fault.what, fault.fix};
}

// Questions that wait, laid out, besides those of the batch that is wanted next.
int64_t ahead_of(const ThreadPool& pool) {
  return 2 * static_cast<int64_t>(pool.size());
}

}  // namespace

bool Answer::right() const {
  return expected && trimmed(*expected) == trimmed(text);
}

struct Questions::Asked {
  Conversation conversation;
  data::Sample sample;
  int64_t row = 0;
};

Questions::Questions(const LoadedConfig& loaded, const RunData& data, const models::Model& model)
    : options_(loaded.config.trainer.eval_generate),
      prompting_(prompting_of(loaded, data.processing, model)),
      dataset_(data.evaluation.dataset),
      batch_(loaded.config.trainer.per_device_eval_batch_size),
      seed_(static_cast<uint64_t>(loaded.config.trainer.seed)),
      skip_bad_(loaded.config.dataset.on_bad_sample == data::OnBadSample::skip),
      threads_(
          data::loader_threads(static_cast<int>(loaded.config.trainer.dataloader_num_workers))) {
  for (size_t i = 0; i < options_.prompts.size(); ++i) {
    try {
      prompts_.push_back(conversation_of(options_.prompts[i], static_cast<int64_t>(i) + 1,
                                         prompting_.tool_layout()));
    } catch (const Error& e) {
      throw of_prompt(loaded, i, e.fault());
    }
  }
  if (dataset_) rows_ = std::min(options_.rows, dataset_->rows_per_epoch());
  check(loaded);
}

void Questions::check(const LoadedConfig& loaded) const {
  const HeadLimit limit;
  ThreadPool pool(threads_, "questions");
  InOrder laid_out(pool, count(), ahead_of(pool), [this](int64_t i) { return question(i); });
  const auto prompts = static_cast<int64_t>(prompts_.size());
  for (int64_t i = 0; i < prompts || !limit.reached(i); ++i) {
    const auto asked = laid_out.next();
    if (!asked) return;
    if (*asked) continue;
    if (i < prompts) throw of_prompt(loaded, static_cast<size_t>(i), asked->fault());
    if (!skip_bad_) throw Error(asked->fault());
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

Result<Questions::Asked> Questions::question(int64_t index) const {
  Asked asked;
  const auto prompts = static_cast<int64_t>(prompts_.size());
  if (index < prompts) {
    asked.conversation = prompts_[static_cast<size_t>(index)];
  } else {
    asked.row = index - prompts + 1;
    const auto record = dataset_->read(dataset_->place(0, index - prompts));
    if (!record) return record.fault();
    auto conversation = conversation_to_answer(*record, prompting_.tool_layout());
    if (!conversation) return conversation.fault();
    asked.conversation = *std::move(conversation);
  }
  auto laid_out = sample(asked.conversation);
  if (!laid_out) return laid_out.fault();
  asked.sample = *std::move(laid_out);
  return asked;
}

std::optional<Answers> Questions::ask(const ForwardModel& forward,
                                      const std::function<bool()>& stop) const {
  GenerationOptions generation;
  generation.sampling.temperature = options_.temperature;
  generation.sampling.top_k = options_.top_k;
  generation.sampling.top_p = options_.top_p;
  generation.sampling.seed = seed_;
  generation.max_new_tokens = options_.max_new_tokens;
  generation.stop_ids = prompting_.stop_ids();
  GenerationHooks hooks;
  hooks.stop = stop;
  ThreadPool pool(threads_, "questions");
  InOrder laid_out(pool, count(), batch_ + ahead_of(pool),
                   [this](int64_t i) { return question(i); });
  Answers out;
  std::vector<std::future<std::vector<std::string>>> pictures;  // of out.shown
  int64_t wrong_rows = 0;
  for (int64_t begin = 0; begin < count(); begin += batch_) {
    std::vector<Asked> asked;
    std::vector<data::Sample> samples;
    for (int64_t i = begin; i < std::min(begin + batch_, count()); ++i) {
      auto next = laid_out.next();
      if (!*next && !skip_bad_) throw Error(next->fault());
      if (!*next) {
        ++out.skipped_rows;
        continue;
      }
      samples.push_back(std::move((*next)->sample));
      asked.push_back(**std::move(next));
    }
    if (asked.empty()) continue;
    generation.first_prompt = begin;
    const auto generated = generate(forward, samples, generation, hooks);
    if (stop()) return std::nullopt;
    for (size_t i = 0; i < asked.size(); ++i) {
      Conversation& conversation = asked[i].conversation;
      Answer answer{conversation.question(),
                    prompting_.tokenizer().decode(generated[i].ids, /*skip_special=*/true),
                    static_cast<int64_t>(generated[i].ids.size()), generated[i].finished};
      answer.expected = conversation.expected;
      answer.row = asked[i].row;
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

}  // namespace lmms::train
