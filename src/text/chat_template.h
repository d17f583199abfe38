#pragma once
/// Conversations to ids and targets: as the template of their checkpoint writes them
/// (text/checkpoint_template.h), or in a layout that is built in, the ChatML of the Qwen families:
///
///     <|im_start|>ROLE\n PARTS <|im_end|>\n
///
/// or in that of Llama 3, <|begin_of_text|> before the first turn:
///
///     <|start_header_id|>ROLE<|end_header_id|>\n\n TEXT <|eot_id|>
///
/// Text stands as it is; an image is <|vision_start|><|image_pad|><|vision_end|>\n with the pad
/// repeated, a video the same with <|video_pad|>, or one such run for each of its frames with the
/// time in front (Qwen3-VL: "<0.5 seconds><|vision_start|>..."), audio is <|AUDIO|>\n. A
/// conversation that does not begin with a system turn gets one in front. Every turn is tokenised
/// by itself, as a whole: a text that begins with a line break may share a token with the one that
/// ends the header. Special tokens written out in a text
/// ("<|im_end|>") become those tokens, as in the Python project.
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/error.h"
#include "text/chat.h"
#include "text/checkpoint_template.h"
#include "text/tokenizer.h"
#include "text/tool_layout.h"

namespace lmms::text {

/// HF's ignore index.
inline constexpr int32_t kIgnoredLabel = -100;

/// The pad of a medium, and the tokens around every run of it.
struct PadTokens {
  std::string pad, before, behind;
};

/// What stands around the parts of a turn. Defaults are Qwen's.
struct TurnLayout {
  std::string start = "<|im_start|>", end = "<|im_end|>";  ///< added tokens; `end` is a target
  std::string behind_role = "\n", behind_turn = "\n";
  std::string answer_header = "<|im_start|>assistant\n";  ///< where generation begins
  size_t header_tokens = 3;      ///< from `start` to behind_role, of a role of one token
  std::string before_all{};      ///< the first turn
  std::string system_preface{};  ///< before the text of a system turn that is the first
  /// Of the turns that hold results of tools, where they are not laid out: such a turn is a fault;
  /// empty: an ordinary role.
  std::string result_role{};
  bool trims_texts = false;   ///< without the white space at both ends of a turn
  std::string before_text{};  ///< of every text part
  std::string behind_medium = "\n";
  bool media_first = false;  ///< the caller brings images, then videos, then texts
  /// Text of the system turn that a conversation without one gets in front; nullopt: none. No
  /// period, as in the Python project.
  std::optional<std::string> default_system = "You are a helpful assistant";
  /// Under LabelForm::lmms_engine pads are targets too.
  bool trains_pads = false;
  PadTokens image{"<|image_pad|>", "<|vision_start|>", "<|vision_end|>"};
  PadTokens video{"<|video_pad|>", "<|vision_start|>", "<|vision_end|>"};
  PadTokens audio{"<|AUDIO|>", "", ""};

  /// Whether turns have the frames of ChatML, as all of Qwen's do: <|im_start|> and <|im_end|>.
  bool is_chatml() const { return start == TurnLayout{}.start; }
};

/// Which tokens are targets.
enum class LabelForm : uint8_t {
  assistant,    ///< the assistant's text and the token that ends its turn, nothing else
  lmms_engine,  ///< compat: [labels]: of every role but user and system all but the header_tokens
                ///< of the turn; and the special tokens of every turn
};

/// Ids with the tokens that are targets. Labels in HF's sense, unshifted, are ids[t] where
/// trained[t], else -100.
struct LabelledIds {
  std::vector<int32_t> ids;      ///< [n]
  std::vector<uint8_t> trained;  ///< [n] 1: the model is to predict this token
  /// Answers without targets, which the checkpoint's template rewrites (CheckpointTemplate::Text).
  size_t rewritten = 0;

  /// [n] labels[t] is the target of position t: ids[t + 1] if that is trained, else -100; the last
  /// is -100.
  std::vector<int32_t> shifted_labels() const;
  int64_t trained_count() const;
};

struct ChatOptions {
  LabelForm labels = LabelForm::assistant;
  bool media = false;  ///< whether the processor takes images, videos and audio; if so, pads are
                       ///< never targets
  TurnLayout layout{};
  ToolLayout tools{};
};

class ChatTemplate {
 public:
  /// Faults if the vocabulary lacks, as added tokens, the layout's `start` or `end` or another
  /// <|TOKEN|> that it writes around turns.
  static Result<ChatTemplate> create(Tokenizer tokenizer, ChatOptions options = {});
  /// Chats as `own` writes them, each tokenised as a whole. Of the options the pads of media are
  /// read; what {% generation %} marks is a target as in transformers: with the tokens at its ends,
  /// also where they reach beyond it.
  static ChatTemplate create(Tokenizer tokenizer, CheckpointTemplate own, ChatOptions options);

  /// A conversation of at least one message. Thread-safe. Faults name "messages[i].parts[k]".
  Result<LabelledIds> encode(const Chat& chat, Tokenizer::Scratch& scratch) const;
  /// The same of turns as they are: tools, calls and results written out in their texts.
  Result<LabelledIds> encode_turns(std::span<const ChatMessage> turns,
                                   Tokenizer::Scratch& scratch) const;
  /// A chat followed by the answer_header, for generation; nothing is trained.
  Result<std::vector<int32_t>> encode_prompt(const Chat& chat, Tokenizer::Scratch& scratch) const;

  const Tokenizer& tokenizer() const { return tokenizer_; }
  const TurnLayout& layout() const { return options_.layout; }
  const ToolLayout& tool_layout() const { return options_.tools; }
  bool takes_media() const { return options_.media; }
  /// The tokens of the layout's `start` and `end`, or what stands there in the checkpoint's
  /// template; -1: it has none.
  int32_t start_of_turn() const;
  int32_t end_of_turn() const;
  /// The checkpoint's own template; nullptr: the layout is built in.
  const CheckpointTemplate* own() const { return own_ ? &*own_ : nullptr; }

 private:
  struct Turn;
  const PadTokens& tokens_of(PartKind kind) const;
  ChatTemplate(Tokenizer tokenizer, ChatOptions options)
      : tokenizer_(std::move(tokenizer)), options_(std::move(options)) {}
  Result<LabelledIds> encode(std::span<const ChatMessage> turns, std::span<const size_t> messages,
                             Tokenizer::Scratch& scratch) const;
  Result<Turn> render(const ChatMessage& message, const std::string& where) const;
  Result<LabelledIds> encode_own(const Chat& chat, Tokenizer::Scratch& scratch) const;
  Result<LabelledIds> encode_own(const Chat& chat, Turn turn, Tokenizer::Scratch& scratch) const;
  std::optional<Fault> place_media(const Chat& chat, Turn& turn) const;
  void find_pads();
  std::optional<Fault> append(const Turn& turn, const std::string& where,
                              Tokenizer::Scratch& scratch, LabelledIds& out) const;
  void relabel(const ChatMessage& message, size_t first, LabelledIds& out) const;

  Tokenizer tokenizer_;
  ChatOptions options_;
  std::optional<CheckpointTemplate> own_{};
  std::vector<int32_t> special_;  ///< sorted, of LabelForm::lmms_engine
  std::vector<int32_t> pads_;     ///< ids of the pads that the vocabulary has
};

/// Plain text for pretraining (processor pure_text), with what the tokenizer's file puts around a
/// text (Llama's <|begin_of_text|>): every token is a target. The Python project appends no EOS.
/// Throws Error if the tokenizer names none to append, and as Tokenizer::before_text() does.
LabelledIds encode_plain_text(const Tokenizer& tokenizer, std::string_view text, bool append_eos,
                              Tokenizer::Scratch& scratch);

/// How a checkpoint's own Jinja template departs from the layout above, for a
/// notice; nullopt if it does not.
std::optional<std::string> describe_template_difference(std::string_view jinja,
                                                        const ChatOptions& options = {});

}  // namespace lmms::text
