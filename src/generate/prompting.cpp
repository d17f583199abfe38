#include "generate/prompting.h"

#include <algorithm>

#include "core/error.h"
#include "core/format.h"
#include "data/chat_processor.h"
#include "text/chat_template.h"

namespace lmms::generate {
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

}  // namespace

std::string mask_text(const text::Tokenizer& tokenizer, int32_t mask_id) {
  const std::string text = tokenizer.token(mask_id).value_or("");
  return text.empty() ? "[MASK]" : text;
}

Prompting::Prompting(std::shared_ptr<const data::Processor> processor, text::Tokenizer tokenizer,
                     const nlohmann::json& model_config, const nlohmann::json& generation_config,
                     PromptForm form)
    : processor_(std::move(processor)), tokenizer_(std::move(tokenizer)), form_(form) {
  if (generation_config.is_object() && generation_config.contains("eos_token_id")) {
    add_ids(generation_config["eos_token_id"], stop_ids_);
  } else if (model_config.contains("eos_token_id")) {
    add_ids(model_config["eos_token_id"], stop_ids_);
  }
  if (const auto unmasking = unmasking_of(model_config, "config.json")) {
    mask_id_ = unmasking->mask_id;
    mask_text_ = mask_text(tokenizer_, *mask_id_);
  }
  if (form == PromptForm::plain) return;
  const auto turn = processor_->turn_tokens();
  if (!turn) {
    throw Error("", "the processor makes no chats", "continue texts as they are instead (--plain)");
  }
  stop_ids_.push_back(turn->end);
}

data::Sample Prompting::prompt(const std::string& text) const {
  if (form_ == PromptForm::plain || fills_in(text)) return plain_prompt(text);
  Conversation asked;
  asked.origin = {std::make_shared<const std::string>("prompt"), 1};
  asked.messages.push_back(text_message("user", text));
  return prompt(asked);
}

data::Sample Prompting::plain_prompt(std::string_view text) const {
  std::vector<int32_t> ids = tokenizer_.before_text();
  const auto add = [&](std::string_view part) {
    const std::vector<int32_t> of_part = tokenizer_.encode(part);
    ids.insert(ids.end(), of_part.begin(), of_part.end());
  };
  // where the tokenizer does not know the mask, the text is cut at it as at a special token
  if (mask_id_ && !tokenizer_.id(mask_text_)) {
    for (size_t at = text.find(mask_text_); at != std::string_view::npos;
         at = text.find(mask_text_)) {
      add(text.substr(0, at));
      ids.push_back(*mask_id_);
      text.remove_prefix(at + mask_text_.size());
    }
  }
  add(text);
  return text_prompt(std::move(ids));
}

data::Sample Prompting::prompt(const Conversation& conversation) const {
  if (form_ == PromptForm::plain) {
    throw Error(conversation.origin.text(), "a conversation has turns, and a plain text knows none",
                "leave --plain out, or give texts by --prompt");
  }
  const std::vector<data::Message>& messages = conversation.messages;
  if (messages.size() == 1 && messages[0].role == "user" && conversation.media().empty() &&
      fills_in(conversation.question()))
    return plain_prompt(conversation.question());
  data::Sample sample = processor_->prompt(conversation).take();
  const std::vector<int32_t>& ids = sample.text.input_ids;
  if (mask_id_ && std::find(ids.begin(), ids.end(), *mask_id_) != ids.end()) {
    throw Error(conversation.origin.text(),
                fmt::format("a chat with {} in it: masks are filled in in a text of its own alone",
                            mask_text_),
                "leave it out, or give that text by --prompt without system and other turns");
  }
  return sample;
}

Result<std::string> Prompting::expected_answer(const data::Conversation& conversation) const {
  const text::ChatTemplate* layout = processor_->chat_template();
  if (form_ == PromptForm::plain || layout == nullptr || layout->own() == nullptr)
    return answer_text(conversation, tool_layout());
  const auto some_pads = [](const data::Part&) { return std::vector<text::PadRun>(1); };
  auto chat = data::chat_of(conversation, some_pads);
  if (!chat) return chat.fault();
  const auto learnt = layout->own()->learnt_answer(*std::move(chat));
  if (!learnt) return data::of_record(conversation.origin, learnt.fault());
  if (!*learnt) return answer_text(conversation, tool_layout());
  std::vector<int32_t> ids = tokenizer_.encode(**learnt);
  ids.erase(std::ranges::find_first_of(ids, stop_ids_), ids.end());
  return tokenizer_.decode(ids, /*skip_special=*/true);
}

text::ToolLayout Prompting::tool_layout() const {
  const text::ChatTemplate* chat = processor_->chat_template();
  return chat != nullptr ? chat->tool_layout() : text::ToolLayout{};
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

}  // namespace lmms::generate
