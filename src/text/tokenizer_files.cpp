/// Chooses the files of a checkpoint folder, and reads the formats that are no tokenizer.json.
#include <algorithm>
#include <charconv>

#include "core/files.h"
#include "core/format.h"
#include "core/plain_json.h"
#include "text/byte_level.h"
#include "text/json.h"
#include "text/tokenizer.h"
#include "text/tokenizer_parts.h"
#include "text/unicode/utf8.h"

namespace lmms::text {
namespace {

namespace fs = std::filesystem;

/// The next line without its end; false if there is none.
bool take_line(std::string_view& rest, std::string_view& line) {
  if (rest.empty()) return false;
  const size_t end = std::min(rest.find('\n'), rest.size());
  line = rest.substr(0, end);
  if (line.ends_with('\r')) line.remove_suffix(1);
  rest.remove_prefix(std::min(end + 1, rest.size()));
  return true;
}

std::optional<std::string> decode_base64(std::string_view text) {
  std::string bytes;
  uint32_t bits = 0;
  int count = 0;
  while (text.ends_with('=')) text.remove_suffix(1);
  for (const char c : text) {
    uint32_t value = 0;
    if (c >= 'A' && c <= 'Z') {
      value = static_cast<uint32_t>(c - 'A');
    } else if (c >= 'a' && c <= 'z') {
      value = static_cast<uint32_t>(c - 'a') + 26;
    } else if (c >= '0' && c <= '9') {
      value = static_cast<uint32_t>(c - '0') + 52;
    } else if (c == '+' || c == '/') {
      value = c == '+' ? 62 : 63;
    } else {
      return std::nullopt;
    }
    bits = bits << 6 | value;
    count += 6;
    if (count >= 8) {
      count -= 8;
      bytes.push_back(static_cast<char>(bits >> count & 0xFF));
    }
  }
  return bytes;
}

/// The tokens of a tiktoken file in the order of their ranks, which are their ids.
struct RankedTokens {
  StringIndex bytes;
  std::vector<int32_t> ranks;
};

/// The merge that made token `number`: joining its bytes by the ranks of the tokens before it
/// leaves two parts (how Qwen's own merges.txt was derived from its tiktoken file). nullopt for a
/// token that no merge makes.
std::optional<Merge> derive_merge(const RankedTokens& tokens, uint32_t number) {
  const std::string_view token = tokens.bytes[number];
  std::vector<size_t> cuts(token.size() + 1);
  for (size_t i = 0; i < cuts.size(); ++i) cuts[i] = i;
  const auto part = [&](size_t first, size_t last) {
    return tokens.bytes.find(token.substr(cuts[first], cuts[last] - cuts[first]));
  };
  while (cuts.size() > 3) {
    size_t best = 0;
    uint32_t best_number = number;
    for (size_t i = 0; i + 2 < cuts.size(); ++i) {
      if (const uint32_t joined = part(i, i + 2); joined < best_number) {
        best = i;
        best_number = joined;
      }
    }
    if (best_number == number) return std::nullopt;
    cuts.erase(cuts.begin() + static_cast<ptrdiff_t>(best) + 1);
  }
  const uint32_t left = part(0, 1), right = part(1, 2);
  if (left >= number || right >= number) return std::nullopt;
  return Merge{tokens.ranks[left], tokens.ranks[right], tokens.ranks[number]};
}

RankedTokens read_ranks(std::string_view text, const std::string& where) {
  constexpr size_t kLongestToken = 1024;  // deriving a merge takes quadratic time
  RankedTokens tokens;
  text = without_byte_order_mark(text);
  std::string_view line;
  int64_t number = 0;
  const auto fail = [&](const std::string& what, const std::string& fix = "") {
    throw Error(fmt::format("{}:{}", where, number), what, fix);
  };
  while (take_line(text, line)) {
    ++number;
    if (line.empty()) continue;
    const size_t space = std::min(line.find(' '), line.size() - 1);
    const auto bytes = decode_base64(line.substr(0, space));
    const char* end = line.data() + line.size();
    int32_t rank = -1;
    const auto parsed = std::from_chars(line.data() + space + 1, end, rank);
    if (!bytes || bytes->empty() || parsed.ec != std::errc() || parsed.ptr != end || rank < 0 ||
        rank > kLargestId) {
      fail("expected a token in base64, a space and its rank");
    }
    if (bytes->size() > kLongestToken)
      fail(fmt::format("a token of {} bytes; at most {} are supported", bytes->size(),
                       kLongestToken));
    if (!tokens.ranks.empty() && rank <= tokens.ranks.back())
      fail(fmt::format("rank {} does not rise", rank), "sort the lines by rank");
    if (tokens.bytes.add(*bytes) != tokens.ranks.size()) fail("this token stands there twice");
    tokens.ranks.push_back(rank);
  }
  for (int byte = 0; byte < 256; ++byte) {
    const char character = static_cast<char>(byte);
    if (tokens.bytes.find({&character, 1}) == StringIndex::kNone) {
      throw Error(where, fmt::format("byte {} is no token", byte),
                  "the file may be cut off; fetch it again");
    }
  }
  return tokens;
}

std::vector<AddedToken> qwen_special_tokens(int32_t first) {
  std::vector<std::string> names = {"<|endoftext|>", "<|im_start|>", "<|im_end|>"};
  for (int i = 0; i < 205; ++i) names.push_back(fmt::format("<|extra_{}|>", i));
  std::vector<AddedToken> tokens;
  for (std::string& name : names) {
    AddedToken token;
    token.id = first++;
    token.content = std::move(name);
    token.normalized = false;
    token.special = true;
    tokens.push_back(std::move(token));
  }
  return tokens;
}

/// Normaliser and words of a tokenizer class, for vocabularies that do not say.
void set_rules(TokenizerSpec& spec, const std::string& tokenizer_class) {
  if (tokenizer_class == "Qwen2Tokenizer") {
    spec.normalizer.add(Nfc{});
    spec.pre_tokenizer.add(PreTokenizer::Split{WordPattern::qwen2});
  } else if (tokenizer_class == "GPT2Tokenizer") {
    spec.pre_tokenizer.add(PreTokenizer::Split{WordPattern::gpt2});
  } else {
    throw Error(spec.where,
                fmt::format("a vocab.json without tokenizer.json needs tokenizer_config.json to "
                            "name Qwen2Tokenizer or "
                            "GPT2Tokenizer as tokenizer_class, got '{}'",
                            tokenizer_class),
                "put the checkpoint's tokenizer.json beside it");
  }
}

bool is_tiktoken(const fs::path& path) {
  return path.extension() == ".tiktoken";
}

fs::path find_tiktoken(const fs::path& folder) {
  std::vector<fs::path> found;
  for (const auto& entry : fs::directory_iterator(folder)) {
    if (is_tiktoken(entry.path())) found.push_back(entry.path());
  }
  return found.empty() ? fs::path() : *std::ranges::min_element(found);
}

TokenizerSpec with_tiktoken_tokens(TokenizerSpec spec, const TokenizerConfig& config) {
  if (config.added.empty()) spec.added = qwen_special_tokens(spec.ids.back() + 1);
  return spec;
}

TokenizerSpec read_folder(const fs::path& folder, const TokenizerConfig& config) {
  if (const fs::path json = folder / "tokenizer.json"; fs::exists(json)) {
    return read_tokenizer_json(read_file(json).take(), json.string());
  }
  const fs::path vocab = folder / "vocab.json", merges = folder / "merges.txt";
  if (fs::exists(vocab) && fs::exists(merges))
    return read_vocab_and_merges(vocab, merges, config.tokenizer_class);
  if (const fs::path ranks = find_tiktoken(folder); !ranks.empty())
    return with_tiktoken_tokens(read_tiktoken(ranks), config);
  throw Error(folder.string(),
              "holds no tokenizer.json, no vocab.json with merges.txt, and no *.tiktoken",
              "give the folder of a checkpoint with its tokenizer files");
}

}  // namespace

TokenizerSpec read_vocab_and_merges(const fs::path& vocab, const fs::path& merges,
                                    const std::string& tokenizer_class) {
  TokenizerSpec spec;
  spec.where = vocab.string();
  set_rules(spec, tokenizer_class);
  const JsonFile file = JsonFile::read(vocab).take();
  read_vocab(file.root(), spec);
  const std::string text = read_file(merges).take();
  std::string_view rest = without_byte_order_mark(text), line;
  std::string joined;
  for (int64_t number = 1; take_line(rest, line); ++number) {
    if (line.empty() || line.starts_with("#version")) continue;
    const std::string here = fmt::format("{}:{}", merges.string(), number);
    const size_t space = line.find(' ');
    if (space == std::string_view::npos || line.find(' ', space + 1) != std::string_view::npos) {
      throw Error(here, "expected two tokens with a space between them");
    }
    joined.assign(line.substr(0, space)).append(line.substr(space + 1));
    const auto token = [&](std::string_view written) {
      const uint32_t found = spec.written.find(written);
      if (found == StringIndex::kNone)
        throw Error(here, fmt::format("'{}' is not in {}", written, spec.where));
      return spec.ids[found];
    };
    spec.merges.push_back(
        {token(line.substr(0, space)), token(line.substr(space + 1)), token(joined)});
  }
  return spec;
}

TokenizerSpec read_tiktoken(const fs::path& path) {
  TokenizerSpec spec;
  spec.where = path.string();
  set_rules(spec, "Qwen2Tokenizer");
  spec.bpe.ignore_merges = true;
  const RankedTokens tokens = read_ranks(read_file(path).take(), spec.where);
  for (uint32_t i = 0; i < tokens.ranks.size(); ++i) {
    spec.written.add(written_of_bytes(tokens.bytes[i]));
    spec.ids.push_back(tokens.ranks[i]);
    if (tokens.bytes[i].size() < 2) continue;
    if (const auto merge = derive_merge(tokens, i)) spec.merges.push_back(*merge);
  }
  return spec;
}

Result<Tokenizer> Tokenizer::load(const fs::path& folder_or_file) {
  try {
    if (fs::is_directory(folder_or_file)) {
      TokenizerConfig config = read_tokenizer_config(folder_or_file).take();
      TokenizerSpec spec = read_folder(folder_or_file, config);
      return Tokenizer(std::make_shared<const TokenizerParts>(std::move(spec), std::move(config)));
    }
    TokenizerSpec spec =
        is_tiktoken(folder_or_file)
            ? with_tiktoken_tokens(read_tiktoken(folder_or_file), {})
            : read_tokenizer_json(read_file(folder_or_file).take(), folder_or_file.string());
    return Tokenizer(std::make_shared<const TokenizerParts>(std::move(spec), TokenizerConfig{}));
  } catch (const Error& error) {
    return error.fault();
  } catch (const fs::filesystem_error& error) {
    return Fault{folder_or_file.string(), error.what(), ""};
  }
}

}  // namespace lmms::text
