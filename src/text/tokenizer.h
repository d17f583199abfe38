#pragma once
/// Text to token ids and back, equal to Hugging Face tokenizers on the byte-level BPE vocabularies
/// of the supported models.
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/error.h"
#include "text/added_tokens.h"

namespace lmms::text {

struct TokenizerParts;
struct ChatTemplateSource;

/// A vocabulary with its rules. Cheap to copy, immutable, safe to use from many threads.
///
/// Text is UTF-8. HF only ever sees valid strings, so invalid bytes are read as Python's
/// errors="replace" reads them: each maximal invalid subpart is U+FFFD. No tokens are added that
/// the text does not contain (no BOS, no EOS): before_text() and behind_text() are those that the
/// file's post-processor would add.
class Tokenizer {
 public:
  /// Buffers and a bounded memory of merged words (at most 8192 short ones), for one thread at a
  /// time; makes encoding many texts faster and changes no id.
  class Scratch {
   public:
    Scratch();
    Scratch(Scratch&&) noexcept;
    Scratch& operator=(Scratch&&) noexcept;
    ~Scratch();

   private:
    friend class Tokenizer;
    struct State;
    std::unique_ptr<State> state_;
  };

  /// From a checkpoint folder (tokenizer.json, else vocab.json and merges.txt, else *.tiktoken;
  /// with tokenizer_config.json and special_tokens_map.json where they are) or from one such file
  /// by itself.
  static Result<Tokenizer> load(const std::filesystem::path& folder_or_file);
  /// From the text of a tokenizer.json; `where` names it in faults.
  static Result<Tokenizer> from_json(std::string tokenizer_json, const std::string& where);

  /// Ids of a text, added tokens recognised.
  std::vector<int32_t> encode(std::string_view text) const;
  /// The same, appended to `out`.
  void encode(std::string_view text, Scratch& scratch, std::vector<int32_t>& out) const;
  /// Ids of a text in which added tokens have no meaning of their own.
  std::vector<int32_t> encode_ordinary(std::string_view text) const;
  void encode_ordinary(std::string_view text, Scratch& scratch, std::vector<int32_t>& out) const;

  /// The text cut at the added tokens that are looked for before normalising; of valid UTF-8 only.
  std::vector<TextPart> split_added(std::string_view text) const;
  /// What `normalizer` makes of a text without added tokens.
  std::string normalize(std::string_view text) const;

  /// The text of ids; bytes that are not UTF-8 together become U+FFFD as in encode. Ids without a
  /// token vanish.
  std::string decode(std::span<const int32_t> ids, bool skip_special = false) const;

  /// What tokenizer.json puts around a whole text (Llama 3: <|begin_of_text|> in front). Throw
  /// Error if its post-processor is of a kind that is not read; all else works with such a file
  /// too.
  const std::vector<int32_t>& before_text() const;
  const std::vector<int32_t>& behind_text() const;

  /// The id of a token in its written form ("Ġthe", "<|im_end|>").
  std::optional<int32_t> id(std::string_view token) const;
  /// The written form of an id; nullopt if there is none.
  std::optional<std::string> token(int32_t id) const;
  /// The bytes that an id stands for in a text; empty if there is none.
  std::string_view bytes(int32_t id) const;
  /// One more than the largest id; embeddings may have more rows.
  int32_t vocab_size() const;

  /// The id of a role such as "pad_token", "eos_token", "image_token".
  std::optional<int32_t> role(std::string_view name) const;
  std::optional<int32_t> pad() const { return role("pad_token"); }
  std::optional<int32_t> eos() const { return role("eos_token"); }
  std::optional<int32_t> bos() const { return role("bos_token"); }
  /// transformers' all_special_tokens: of the roles, then the additional ones.
  const std::vector<std::string>& all_special_tokens() const;
  std::vector<int32_t> all_special_ids() const;
  const std::vector<AddedToken>& added_tokens() const;
  /// The roles above with their tokens, as a chat template is given them.
  const std::vector<std::pair<std::string, std::string>>& named_tokens() const;
  /// The checkpoint's Jinja chat template that is called "default".
  const std::optional<std::string>& chat_template() const;
  /// All of them: checkpoints may have others for tools and documents.
  const std::vector<ChatTemplateSource>& chat_templates() const;

 private:
  explicit Tokenizer(std::shared_ptr<const TokenizerParts> parts) : parts_(std::move(parts)) {}
  std::shared_ptr<const TokenizerParts> parts_;
};

}  // namespace lmms::text
