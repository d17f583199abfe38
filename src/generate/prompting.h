#pragma once
/// Texts and conversations as prompts of a model, and what ends its answers.
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "data/processor.h"
#include "generate/conversation.h"
#include "generate/generation.h"
#include "text/tokenizer.h"

namespace lmms::generate {

/// How a text becomes a prompt.
enum class PromptForm {
  chat,  ///< the user's turn of a conversation
  plain  ///< as it is, to be continued
};

struct PromptingOptions {
  PromptForm form = PromptForm::chat;
  std::optional<std::string> system;  ///< of the turn put in front; absent: the chat layout's own
};

/// How a text that is to be filled in writes a mask: as the tokenizer has it, [MASK] if it has
/// none.
std::string mask_text(const text::Tokenizer& tokenizer, int32_t mask_id);

class Prompting {
 public:
  /// `processor` lays prompts out, as it lays out what is trained; in the form given.
  /// `generation_config`: generation_config.json of the model, or null. Throws Error if a chat is
  /// asked for and the processor makes none.
  Prompting(std::shared_ptr<const data::Processor> processor, text::Tokenizer tokenizer,
            const nlohmann::json& model_config, const nlohmann::json& generation_config,
            PromptForm form);

  /// A text with masks in it is laid out as it stands, whatever the form: it is to be filled in.
  data::Sample prompt(const std::string& text) const;
  /// The same of a user's only turn. Decodes its images. Throws Error for a plain form, and for
  /// what the processor finds wrong.
  data::Sample prompt(const Conversation& conversation) const;

  /// The eos tokens of generation_config.json, else of config.json; in a chat the end of a turn
  /// too.
  const std::vector<int32_t>& stop_ids() const { return stop_ids_; }
  const text::Tokenizer& tokenizer() const { return tokenizer_; }
  /// Whether a text has masks in it (mask_text), and the model (mask_token_id of its config.json)
  /// fills them in.
  bool fills_in(std::string_view text) const {
    return mask_id_ && text.find(mask_text_) != std::string_view::npos;
  }
  /// The answer that a conversation of two messages or more ends with, as a model writes it that
  /// has learnt it: decoded without special tokens, up to what ends it.
  Result<std::string> expected_answer(const data::Conversation& conversation) const;
  /// How the processor writes tools, calls and reasoning; the default if it makes no chats.
  text::ToolLayout tool_layout() const;
  PromptForm form() const { return form_; }

 private:
  data::Sample plain_prompt(std::string_view text) const;

  std::shared_ptr<const data::Processor> processor_;
  text::Tokenizer tokenizer_;
  PromptForm form_;
  std::vector<int32_t> stop_ids_;
  std::optional<int32_t> mask_id_;  // of a model that fills in masks
  std::string mask_text_;
};

/// What generation_config.json wants, as transformers reads it; greedy where it does not sample.
/// Throws Error for a setting that cannot be.
SamplingOptions sampling_of(const nlohmann::json& generation_config);

}  // namespace lmms::generate
