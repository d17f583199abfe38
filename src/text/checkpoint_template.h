#pragma once
/// A checkpoint's own chat template: what it writes of chats, and which of it the answers are.
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/error.h"
#include "text/answer_span.h"
#include "text/chat.h"
#include "text/tokenizer.h"

namespace lmms::text {

/// Immutable; serves all threads.
class CheckpointTemplate {
 public:
  /// The template beside a tokenizer, which must have one. Faults: "FILE:line:column" and what it
  /// is that is not read, or why it cannot write a chat of a question and an answer. `system`: text
  /// of the system turn that a chat without one gets in front; nullopt: what the template writes.
  static Result<CheckpointTemplate> create(const Tokenizer& tokenizer,
                                           std::optional<std::string> system = std::nullopt);

  struct Text {
    std::string text;
    std::vector<TextSpan> targets{};  ///< of the answers that are trained, in order
    bool marked = false;              ///< they are what {% generation %} encloses
    /// Answers that are none of them: answer_span() does not find them.
    size_t rewritten = 0;
  };
  /// Of a chat of at least one message. Faults are those of the template ("FILE:line:column"), or
  /// say what of the chat it would leave out.
  Result<Text> write(const Chat& chat) const;
  /// With the header of an answer behind it.
  Result<std::string> write_prompt(const Chat& chat) const;
  /// Of a chat of two messages or more that ends with an answer: what a model that has learnt this
  /// answer goes on with behind write_prompt() of those before it, to its end. nullopt: it is no
  /// target.
  Result<std::optional<std::string>> learnt_answer(Chat chat) const;

  /// The file that it stands in.
  const std::string& where() const;
  /// Whether targets are what {% generation %} encloses; else the answers, found by answer_span().
  bool marks_answers() const;
  /// Whether it has a place for images in a message.
  bool takes_images(std::string_view pad) const;
  /// Whether its words are of tools, and of reasoning.
  bool knows_tools() const;
  bool knows_reasoning() const;
  /// The token that ends an answer, and the one that opens turns; -1: there is none.
  int32_t end_of_answer() const;
  int32_t start_of_turn() const;
  /// What is to be known of it, for notices.
  const std::vector<std::string>& notices() const;

 private:
  struct Parts;
  class Writing;
  explicit CheckpointTemplate(std::shared_ptr<const Parts> parts) : parts_(std::move(parts)) {}
  std::shared_ptr<const Parts> parts_;
};

}  // namespace lmms::text
