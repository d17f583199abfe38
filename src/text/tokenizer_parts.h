#pragma once
/// Inside of Tokenizer: what the readers of the file formats fill in, and what encoding works on.
#include <filesystem>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "core/error.h"
#include "text/added_tokens.h"
#include "text/bpe.h"
#include "text/normalizer.h"
#include "text/pre_tokenizer.h"
#include "text/special_tokens.h"
#include "text/string_index.h"

namespace lmms::text {

class Json;

/// A larger id would only cost memory: no vocabulary is near it.
inline constexpr int64_t kLargestId = Bpe::kMaxId;

/// A vocabulary as read from a file.
struct TokenizerSpec {
  std::string where;         ///< the file, for faults
  StringIndex written;       ///< tokens in their written form
  std::vector<int32_t> ids;  ///< of written[i]
  std::vector<Merge> merges;
  BpeOptions bpe;
  Normalizer normalizer;
  PreTokenizer pre_tokenizer;
  std::vector<AddedToken> added;                  ///< in the order of the file
  std::vector<int32_t> before_text, behind_text;  ///< of the post-processor
  std::optional<Fault> post_processor_fault;      ///< why these two are not known
};

struct TokenizerParts {
  /// Throws Error where the specification contradicts itself.
  TokenizerParts(TokenizerSpec spec, TokenizerConfig config);

  int32_t find(std::string_view token) const;  ///< -1 if there is none

  StringIndex written;
  std::vector<int32_t> ids;
  Normalizer normalizer;
  PreTokenizer pre_tokenizer;
  Bpe bpe;
  std::vector<AddedToken> added;
  std::unordered_map<std::string, int32_t> added_ids;
  AddedTokenFinder raw_finder, normalized_finder;
  std::vector<std::string> bytes_of_id;    ///< what an id stands for in a text
  std::vector<std::string> written_of_id;  ///< empty: none
  std::vector<bool> has_token, is_special;
  TokenizerConfig config;
  std::vector<std::string> all_special;
  std::vector<int32_t> before_text, behind_text;
  std::optional<Fault> post_processor_fault;

 private:
  void add_token(AddedToken token, const std::string& where, bool id_is_given);
  void place(int32_t id, const std::string& token);
};

/// Readers; all throw Error.
TokenizerSpec read_tokenizer_json(std::string text, const std::string& where);
/// Fills `written` and `ids` from {"token": id}.
void read_vocab(const Json& vocab, TokenizerSpec& spec);
/// `tokenizer_class` (Qwen2Tokenizer, GPT2Tokenizer) decides about normaliser and words, which
/// these two files do not hold.
TokenizerSpec read_vocab_and_merges(const std::filesystem::path& vocab,
                                    const std::filesystem::path& merges,
                                    const std::string& tokenizer_class);
/// Lines of "base64 rank". Words and special tokens are Qwen's unless the config adds its own.
TokenizerSpec read_tiktoken(const std::filesystem::path& path);

}  // namespace lmms::text
