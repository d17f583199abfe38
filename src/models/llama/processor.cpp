#include "models/llama/processor.h"

#include "core/format.h"
#include "core/log.h"
#include "data/chat_processor.h"
#include "text/jinja_text.h"

namespace lmms::models::llama {
namespace {

constexpr std::string_view kCutting = "Cutting Knowledge Date: ", kToday = "Today Date: ";

// What is set to `name` in quotes, if that is there: {%- set date_string = "26 Jul 2024" %}.
std::optional<std::string> quoted_value(std::string_view text, std::string_view name) {
  const std::string mark = fmt::format("set {} = ", name);
  for (size_t at = text.find(mark); at != text.npos; at = text.find(mark, at + 1)) {
    const size_t open = at + mark.size();
    if (open >= text.size() || (text[open] != '"' && text[open] != '\'')) continue;
    const size_t close = text.find(text[open], open + 1);
    if (close != text.npos) return std::string(text.substr(open + 1, close - open - 1));
  }
  return std::nullopt;
}

// The dates that open the system turn.
struct Dates {
  std::string cutting, today;
};
std::optional<Dates> dates_of(std::string_view text) {
  const size_t begin = text.find(kCutting);
  if (begin == text.npos || text.find(kToday) == text.npos) return std::nullopt;
  const size_t end = text.find('\n', begin);
  const auto today = quoted_value(text, "date_string");
  if (end == text.npos || !today) return std::nullopt;
  return Dates{std::string(text.substr(begin + kCutting.size(), end - begin - kCutting.size())),
               *today};
}

void notice_difference(const text::Tokenizer& tokenizer) {
  if (const auto difference = template_difference(tokenizer.chat_template().value_or("")))
    log::notice(*difference);
}

std::shared_ptr<const data::Processor> make(const ProcessorSetup& setup) {
  return std::make_shared<data::ChatProcessor>(
      chat_template(setup, turn_layout(setup.tokenizer->chat_template().value_or("")),
                    /*media=*/false));
}

}  // namespace

const ProcessorEntry& processor() {
  static constexpr ProcessorEntry entry{
      .processor_type = "llama3", .make = make, .notice_template = notice_difference};
  return entry;
}

text::TurnLayout turn_layout(std::string_view jinja) {
  text::TurnLayout layout;
  layout.start = "<|start_header_id|>";
  layout.behind_role = "<|end_header_id|>\n\n";
  layout.header_tokens = 4;
  layout.end = "<|eot_id|>";
  layout.behind_turn = "";
  layout.answer_header = "<|start_header_id|>assistant<|end_header_id|>\n\n";
  layout.before_all = "<|begin_of_text|>";
  layout.trims_texts = true;
  layout.result_role = "ipython";
  layout.default_system.reset();
  if (const auto dates = dates_of(text::with_breaks(jinja))) {
    layout.system_preface =
        fmt::format("{}{}\n{}{}\n\n", kCutting, dates->cutting, kToday, dates->today);
    layout.default_system = "";
  }
  return layout;
}

std::optional<std::string> template_difference(std::string_view jinja) {
  if (jinja.empty()) return std::nullopt;
  const std::string text = text::with_breaks(jinja);
  const auto has = [&](std::string_view mark) { return text.find(mark) != text.npos; };
  std::string found;
  const auto say = [&](const std::string& difference) {
    found += (found.empty() ? "" : "; ") + difference;
  };
  if (!has("<|start_header_id|>") || !has("<|eot_id|>")) {
    say("it does not frame turns with <|start_header_id|> and <|eot_id|>");
  } else {
    if (!has("bos_token") && !has("<|begin_of_text|>")) say("it begins without <|begin_of_text|>");
    if (!has("trim")) say("it keeps white space around texts, which training takes away");
    const auto dates = dates_of(text);
    if (dates && has("strftime_now")) {
      say(fmt::format("its system turn names the day of its use ('{}'), training writes '{}'",
                      kToday, dates->today));
    } else if (!dates && (has(kCutting) || has(kToday))) {
      say(
          fmt::format("its system turn names dates ('{}', '{}') in a form that is not known, "
                      "training writes none",
                      kCutting, kToday));
    }
  }
  if (found.empty()) return std::nullopt;
  return "the checkpoint's chat template differs from the layout of training: " + found;
}

}  // namespace lmms::models::llama
