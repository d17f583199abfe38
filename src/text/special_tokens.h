#pragma once
/// The tokens with a role, as transformers 5 reads them from tokenizer_config.json and
/// special_tokens_map.json.
#include <filesystem>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/error.h"
#include "text/added_tokens.h"

namespace lmms::text {

/// A chat template of a checkpoint, as data.
struct ChatTemplateSource {
  std::string name;  ///< "default", "tool_use", ...
  std::string jinja;
  std::string where;  ///< the file, and the key in it
};

/// tokenizer_config.json and what stands beside it, without a vocabulary.
struct TokenizerConfig {
  std::string tokenizer_class;  ///< without "Fast"; empty if not said
  /// "bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token" in
  /// this order, then the tokens that a model names itself ("image_token"); only those that are
  /// set.
  std::vector<std::pair<std::string, std::string>> named;
  std::vector<std::string> extra;            ///< additional_special_tokens or extra_special_tokens
  std::vector<AddedToken> added;             ///< added_tokens_decoder, by id
  std::optional<std::string> chat_template;  ///< the Jinja source that is called "default"
  std::vector<ChatTemplateSource> chat_templates;

  /// transformers' all_special_tokens: named, then extra, each once.
  std::vector<std::string> all_special() const;
  std::optional<std::string> find(std::string_view role) const;
};

/// Reads the files of a folder; absent ones are empty.
Result<TokenizerConfig> read_tokenizer_config(const std::filesystem::path& folder);

}  // namespace lmms::text
