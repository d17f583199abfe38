// Rows of a table as a question and its answer: two texts with columns in braces. The answer and
// the end of text are trained, the question is not.
#include "core/error.h"
#include "data/conversation.h"
#include "data/processor.h"
#include "parts.h"

namespace dates {
namespace {

namespace data = lmms::data;
using lmms::Error;
using lmms::Fault;
using lmms::Result;

/// A text with the values of columns in place of {column}.
Result<std::string> fill(const std::string& text, const data::Record& record) {
  std::string out;
  for (size_t at = 0; at < text.size();) {
    const size_t open = text.find('{', at), close = text.find('}', open);
    out += text.substr(at, open - at);
    if (close == std::string::npos) return out + (open < text.size() ? text.substr(open) : "");
    const std::string column = text.substr(open + 1, close - open - 1);
    const data::Json* value = data::find_member(record.fields, column.c_str());
    if (value == nullptr) {
      return Fault{record.origin.text(), "there is no column '" + column + "'",
                   "correct question and answer of processor_config.extra_kwargs"};
    }
    out += value->is_string() ? value->get<std::string>() : value->dump();
    at = close + 1;
  }
  return out;
}

class TableText final : public data::Processor {
 public:
  TableText(lmms::text::Tokenizer tokenizer, int32_t end, std::string question, std::string answer)
      : tokenizer_(std::move(tokenizer)),
        end_(end),
        question_(std::move(question)),
        answer_(std::move(answer)) {}

  Result<data::Measured> measure(const data::Record& record) const override {
    auto sample = process(record);
    if (!sample) return sample.fault();
    return data::measure_sample(std::move(sample).take());
  }

  Result<data::Sample> process(const data::Record& record) const override {
    const auto question = fill(question_, record), answer = fill(answer_, record);
    if (!question) return question.fault();
    if (!answer) return answer.fault();
    data::Sample sample;
    sample.origin = record.origin;
    std::vector<int32_t>& ids = sample.text.input_ids;
    ids = tokenizer_.encode(*question);
    const size_t first_answer = ids.size();
    for (const int32_t id : tokenizer_.encode(*answer)) ids.push_back(id);
    ids.push_back(end_);
    sample.text.labels.assign(ids.size(), data::kIgnore);
    for (size_t i = std::max<size_t>(first_answer, 1); i < ids.size(); ++i)
      sample.text.labels[i - 1] = ids[i];  // the target of a position is the token behind it
    return sample;
  }

  /// `lmms generate`: the last turn is the question as it stands.
  Result<data::Sample> prompt(const data::Conversation& conversation) const override {
    data::Sample sample;
    sample.origin = conversation.origin;
    if (!conversation.messages.empty()) {
      for (const data::Part& part : conversation.messages.back().parts)
        for (const int32_t id : tokenizer_.encode(part.text)) sample.text.input_ids.push_back(id);
    }
    sample.text.labels.assign(sample.text.input_ids.size(), data::kIgnore);
    return sample;
  }

 private:
  lmms::text::Tokenizer tokenizer_;
  int32_t end_;
  std::string question_, answer_;
};

std::string text_argument(const lmms::models::ProcessorSetup& setup, const char* name,
                          const char* otherwise) {
  const lmms::config::Value* value = setup.extra_kwargs.find(name);
  if (value == nullptr || value->is_null()) return otherwise;
  if (value->string() != nullptr) return *value->string();
  throw Error(setup.kwargs_where, std::string(name) + ": expected a text with {column} in it");
}

std::shared_ptr<const data::Processor> make(const lmms::models::ProcessorSetup& setup) {
  const auto end = setup.tokenizer ? setup.tokenizer->eos() : std::nullopt;
  if (!end) {
    throw Error(setup.folder.string(), "no tokenizer with an eos_token, which ends every answer",
                "set processor_name to the folder of one");
  }
  return std::make_shared<TableText>(*setup.tokenizer, *end,
                                     text_argument(setup, "question", "{question}"),
                                     text_argument(setup, "answer", "{answer}"));
}

constexpr std::string_view kArguments[] = {"question", "answer"};

}  // namespace

const lmms::models::ProcessorEntry& table_text() {
  static const lmms::models::ProcessorEntry entry{.processor_type = "table_text",
                                                  .make = make,
                                                  .form = data::RecordForm::chats,
                                                  .arguments = kArguments};
  return entry;
}

}  // namespace dates
