#pragma once
/// The regular expressions of the common byte-level tokenizers, written by hand over Unicode 16: a
/// word at a time, without backtracking.
#include <optional>
#include <string_view>

namespace lmms::text {

enum class WordPattern {
  gpt2,    ///< GPT-2's own, built into HF's ByteLevel
  cl100k,  ///< numbers of up to three digits: Llama 3, Qwen's ancestor
  qwen2,   ///< single digits: Qwen, Qwen2, Qwen2.5, Qwen3
  qwen35,  ///< as qwen2, with marks among the letters: Qwen3.5
};

/// The pattern whose regular expression this is, character for character; nullopt for any other.
std::optional<WordPattern> known_pattern(std::string_view regex);

/// The end of the word that begins at `at` < end, in valid UTF-8. The words of a text cover it.
const char* word_end(WordPattern pattern, const char* at, const char* end);

}  // namespace lmms::text
