#include "train/generation/prompting.h"

#include <algorithm>

#include "core/error.h"
#include "core/files.h"
#include "core/format.h"
#include "data/chat_processor.h"
#include "data/json_text.h"
#include "data/source.h"

namespace lmms::train {
namespace {

void add_ids(const nlohmann::json& ids, std::vector<int32_t>& out) {
  for (const nlohmann::json& id : ids.is_array() ? ids : nlohmann::json::array({ids})) {
    if (id.is_number_integer()) out.push_back(id.get<int32_t>());
  }
}

/// A setting of generation_config.json. Throws Error for one outside [least, most].
double number(const nlohmann::json& config, const char* key, double otherwise, double least,
              double most) {
  const auto found = config.find(key);
  if (found == config.end() || found->is_null()) return otherwise;
  if (!found->is_number() || !(found->get<double>() >= least && found->get<double>() <= most)) {
    throw Error(fmt::format("generation_config.json: {}", key),
                fmt::format("expected a number in [{}, {}], found {}", least, most,
                            found->dump().substr(0, 40)),
                "correct it, or leave the file's settings out: --greedy");
  }
  return found->get<double>();
}

// Records of a JSON file: the value itself, its entries, or the conversation that it is.
std::vector<nlohmann::json> records_of(nlohmann::json value) {
  if (!value.is_array()) return {std::move(value)};
  const bool conversation =
      !value.empty() && std::all_of(value.begin(), value.end(), [](const nlohmann::json& entry) {
        return entry.is_object() && entry.contains("role") && entry.contains("content");
      });
  if (conversation) return {{{"messages", std::move(value)}}};
  return value.get<std::vector<nlohmann::json>>();
}

}  // namespace

Prompting::Prompting(text::Tokenizer tokenizer, const nlohmann::json& model_config,
                     const nlohmann::json& generation_config, const PromptingOptions& options)
    : tokenizer_(std::move(tokenizer)) {
  if (generation_config.is_object() && generation_config.contains("eos_token_id")) {
    add_ids(generation_config["eos_token_id"], stop_ids_);
  } else if (model_config.contains("eos_token_id")) {
    add_ids(model_config["eos_token_id"], stop_ids_);
  }
  if (options.form == PromptForm::plain) return;
  text::ChatOptions chat;
  if (options.system) chat.system = *options.system;
  auto layout = text::ChatTemplate::create(tokenizer_, chat);
  if (!layout) {
    throw Error(layout.fault().where, layout.fault().what,
                "continue texts as they are instead (--plain)");
  }
  chat_ = std::move(layout).take();
  stop_ids_.push_back(chat_->end_of_turn());
}

std::vector<int32_t> Prompting::prompt(const std::string& text) const {
  if (!chat_) return tokenizer_.encode(text);
  const text::ChatMessage user = chat_message("user", text);
  return prompt(std::span(&user, 1));
}

std::vector<int32_t> Prompting::prompt(std::span<const text::ChatMessage> conversation) const {
  if (!chat_) {
    throw Error("--messages", "a conversation has turns, and --plain knows none",
                "leave --plain out, or give texts by --prompt");
  }
  if (!conversation.empty() && conversation.back().role == "assistant")
    conversation = conversation.first(conversation.size() - 1);
  if (conversation.empty())
    throw Error("conversation", "it has no turn to answer", "give it a user's turn");
  text::Tokenizer::Scratch scratch;
  return chat_->encode_prompt(conversation, scratch).take();
}

text::ChatMessage chat_message(std::string role, std::string text) {
  return {std::move(role), {{text::PartKind::text, std::move(text)}}};
}

std::vector<std::vector<text::ChatMessage>> read_conversations(const std::filesystem::path& file) {
  std::vector<data::Record> records;
  const auto format = data::infer_format(file.string());
  if (format == data::Format::json) {
    const std::string text = read_file(file).take();
    auto value = data::parse_json(text);
    if (!value) throw Error(file.string(), value.fault().what, value.fault().fix);
    const auto path = std::make_shared<const std::string>(file.string());
    for (nlohmann::json& fields : records_of(*std::move(value))) {
      const auto row = static_cast<int64_t>(records.size()) + 1;
      records.push_back(
          {.origin = {path, row}, .fields = std::move(fields), .data_folder = nullptr});
    }
  } else if (format) {
    const auto source = data::open_source(file.string(), *format).take();
    for (int64_t row = 0; row < source->size(); ++row) records.push_back(source->read(row).take());
  } else {
    std::error_code none;
    if (!std::filesystem::is_regular_file(file, none))
      throw Error(file.string(), "is no file", "give a .json or .jsonl file of conversations");
    throw Error(file.string(), "its suffix tells no format", "name it *.json or *.jsonl");
  }
  if (records.empty()) throw Error(file.string(), "holds no conversation");
  std::vector<std::vector<text::ChatMessage>> out;
  for (const data::Record& record : records) {
    if (!record.fields.is_object())
      throw Error(record.origin.text(), "expected an object with messages");
    out.push_back(data::chat_messages_of(record, data::conversation_of(record).take()).take());
  }
  return out;
}

SamplingOptions sampling_of(const nlohmann::json& generation_config) {
  SamplingOptions options;
  if (!generation_config.is_object()) return options;
  options.repetition_penalty = number(generation_config, "repetition_penalty", 1, 1e-3, 1e3);
  const auto samples = generation_config.find("do_sample");
  if (samples == generation_config.end() || *samples != true) return options;
  options.temperature = number(generation_config, "temperature", 1, 0, 1e6);
  options.top_k = static_cast<int64_t>(number(generation_config, "top_k", 50, 0, 1e9));
  options.top_p = number(generation_config, "top_p", 1, 0, 1);
  return options;
}

}  // namespace lmms::train
