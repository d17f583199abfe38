#pragma once
/// Texts and conversations as prompts of a model, and what ends its answers.
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "text/chat_template.h"
#include "text/tokenizer.h"
#include "train/generation/generation.h"

namespace lmms::train {

/// How a text becomes a prompt.
enum class PromptForm {
  chat,  ///< the user's turn of a conversation
  plain  ///< as it is, to be continued
};

struct PromptingOptions {
  PromptForm form = PromptForm::chat;
  std::optional<std::string> system;  ///< of the turn put in front; absent: the chat layout's own
};

class Prompting {
 public:
  /// `generation_config`: generation_config.json of the model, or null. Throws Error if the
  /// tokenizer has no chat layout.
  Prompting(text::Tokenizer tokenizer, const nlohmann::json& model_config,
            const nlohmann::json& generation_config, const PromptingOptions& options);

  std::vector<int32_t> prompt(const std::string& text) const;
  /// A conversation whose next turn is the assistant's; one that ends with the assistant's turn
  /// stands for what precedes it. Throws Error for a plain form.
  std::vector<int32_t> prompt(std::span<const text::ChatMessage> conversation) const;

  /// The eos tokens of generation_config.json, else of config.json; in a chat the end of a turn
  /// too.
  const std::vector<int32_t>& stop_ids() const { return stop_ids_; }
  const text::Tokenizer& tokenizer() const { return tokenizer_; }
  PromptForm form() const { return chat_ ? PromptForm::chat : PromptForm::plain; }

 private:
  text::Tokenizer tokenizer_;
  std::optional<text::ChatTemplate> chat_;
  std::vector<int32_t> stop_ids_;
};

/// A message of text alone.
text::ChatMessage chat_message(std::string role, std::string text);

/// The conversations of a file: JSONL or JSON with a record a line or entry, of any form that
/// training reads, or one list of {role, content}. Throws Error naming file and row.
std::vector<std::vector<text::ChatMessage>> read_conversations(const std::filesystem::path& file);

/// What generation_config.json wants, as transformers reads it; greedy where it does not sample.
/// Throws Error for a setting that cannot be.
SamplingOptions sampling_of(const nlohmann::json& generation_config);

}  // namespace lmms::train
