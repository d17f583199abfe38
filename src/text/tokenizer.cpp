#include "text/tokenizer.h"

#include "core/format.h"
#include "text/byte_level.h"
#include "text/tokenizer_parts.h"
#include "text/unicode/utf8.h"

namespace lmms::text {

struct Tokenizer::Scratch::State {
  std::shared_ptr<const TokenizerParts>
      parts;  // keeps the address that bpe remembers from being used again
  Bpe::Scratch bpe;
  std::string repaired, normalized;
  std::vector<TextPart> raw, in_normalized;
};

Tokenizer::Scratch::Scratch() : state_(std::make_unique<State>()) {}
Tokenizer::Scratch::Scratch(Scratch&&) noexcept = default;
Tokenizer::Scratch& Tokenizer::Scratch::operator=(Scratch&&) noexcept = default;
Tokenizer::Scratch::~Scratch() = default;

namespace {

/// Distinct bytes only: two written forms of the same bytes do not exist, since the stand-ins are a
/// bijection.
std::vector<Bpe::Token> words_of(const StringIndex& written, const std::vector<int32_t>& ids) {
  std::vector<Bpe::Token> words;
  words.reserve(ids.size());
  for (uint32_t i = 0; i < ids.size(); ++i) {
    if (auto bytes = bytes_of_written(written[i])) words.push_back({std::move(*bytes), ids[i]});
  }
  return words;
}

std::vector<Merge> bounded(std::vector<Merge> merges, const std::string& where) {
  if (merges.size() > Bpe::kMaxMerges)
    throw Error(where,
                fmt::format("{} merges; at most {} are supported", merges.size(), Bpe::kMaxMerges));
  return merges;
}

}  // namespace

TokenizerParts::TokenizerParts(TokenizerSpec spec, TokenizerConfig from_config)
    : written(std::move(spec.written)),
      ids(std::move(spec.ids)),
      normalizer(std::move(spec.normalizer)),
      pre_tokenizer(std::move(spec.pre_tokenizer)),
      bpe(words_of(written, ids), bounded(std::move(spec.merges), spec.where), spec.bpe),
      config(std::move(from_config)),
      before_text(std::move(spec.before_text)),
      behind_text(std::move(spec.behind_text)),
      post_processor_fault(std::move(spec.post_processor_fault)) {
  for (uint32_t i = 0; i < ids.size(); ++i) {
    if (static_cast<size_t>(ids[i]) < has_token.size() && has_token[static_cast<size_t>(ids[i])]) {
      throw Error(spec.where,
                  fmt::format("token '{}' has id {}, which token '{}' has already", written[i],
                              ids[i], written_of_id[static_cast<size_t>(ids[i])]));
    }
    place(ids[i], std::string(written[i]));
  }
  for (AddedToken& token : spec.added) add_token(std::move(token), spec.where, true);
  // As transformers: the config's added tokens, then roles and additional tokens that the
  // vocabulary file does not add.
  const std::string config_file = "tokenizer_config.json beside " + spec.where;
  for (const AddedToken& token : config.added) add_token(token, config_file, true);
  all_special = config.all_special();
  for (const std::string& content : all_special) {
    if (added_ids.contains(content)) continue;
    AddedToken token;
    token.content = content;
    token.normalized = false;
    token.special = true;
    add_token(std::move(token), config_file, false);
  }
  for (const AddedToken& token : added) {
    std::string buffer;
    const std::string_view pattern =
        token.normalized ? normalizer.apply(token.content, buffer) : token.content;
    (token.normalized ? normalized_finder : raw_finder).add(token, pattern);
    // HF decodes an added token through the same stand-ins, in the form in which it was looked for.
    auto& bytes = bytes_of_id[static_cast<size_t>(token.id)];
    bytes = bytes_of_written(pattern).value_or(std::string(pattern));
    is_special[static_cast<size_t>(token.id)] = token.special;
  }
}

int32_t TokenizerParts::find(std::string_view token) const {
  if (const auto at = added_ids.find(std::string(token)); at != added_ids.end()) return at->second;
  const uint32_t number = written.find(token);
  return number == StringIndex::kNone ? -1 : ids[number];
}

/// HF gives an added token the id it has in the vocabulary, or the next free one, whatever the file
/// says; a file that says something else would train the wrong rows of the embedding.
void TokenizerParts::add_token(AddedToken token, const std::string& where, bool id_is_given) {
  if (token.content.empty()) return;
  int32_t id = find(token.content);
  if (id < 0) id = static_cast<int32_t>(has_token.size());
  if (id_is_given && token.id != id) {
    throw Error(where,
                fmt::format("added token '{}' has id {}, but comes to stand at {}", token.content,
                            token.id, id),
                "added tokens follow the vocabulary without gaps, in the order of their ids");
  }
  token.id = id;
  const auto [at, is_new] = added_ids.emplace(token.content, id);
  if (is_new) {
    place(id, token.content);
    added.push_back(std::move(token));
    return;
  }
  for (AddedToken& known : added) {
    if (known.id == id) known = token;
  }
}

void TokenizerParts::place(int32_t id, const std::string& token) {
  const auto at = static_cast<size_t>(id);
  if (at >= has_token.size()) {
    has_token.resize(at + 1);
    is_special.resize(at + 1);
    bytes_of_id.resize(at + 1);
    written_of_id.resize(at + 1);
  }
  has_token[at] = true;
  written_of_id[at] = token;
  bytes_of_id[at] = bytes_of_written(token).value_or(token);
}

Result<Tokenizer> Tokenizer::from_json(std::string tokenizer_json, const std::string& where) {
  try {
    return Tokenizer(std::make_shared<const TokenizerParts>(
        read_tokenizer_json(std::move(tokenizer_json), where), TokenizerConfig{}));
  } catch (const Error& error) {
    return error.fault();
  }
}

std::vector<int32_t> Tokenizer::encode(std::string_view text) const {
  Scratch scratch;
  std::vector<int32_t> out;
  encode(text, scratch, out);
  return out;
}

void Tokenizer::encode(std::string_view text, Scratch& scratch, std::vector<int32_t>& out) const {
  Scratch::State& state = *scratch.state_;
  if (unicode::valid_prefix(text) != text.size()) {
    state.repaired = unicode::replace_invalid(text);
    text = state.repaired;
  }
  if (state.parts != parts_) state.parts = parts_;
  const auto ordinary = [&](std::string_view chunk) {
    parts_->pre_tokenizer.words(
        chunk, [&](std::string_view word) { parts_->bpe.encode(word, state.bpe, out); });
  };
  state.raw.clear();
  parts_->raw_finder.split(text, state.raw);
  for (const TextPart& part : state.raw) {
    if (part.id >= 0) {
      out.push_back(part.id);
      continue;
    }
    const std::string_view chunk =
        parts_->normalizer.apply(text.substr(part.begin, part.end - part.begin), state.normalized);
    if (parts_->normalized_finder.empty()) {
      ordinary(chunk);
      continue;
    }
    state.in_normalized.clear();
    parts_->normalized_finder.split(chunk, state.in_normalized);
    for (const TextPart& inner : state.in_normalized) {
      if (inner.id >= 0) {
        out.push_back(inner.id);
      } else {
        ordinary(chunk.substr(inner.begin, inner.end - inner.begin));
      }
    }
  }
}

std::vector<int32_t> Tokenizer::encode_ordinary(std::string_view text) const {
  Scratch scratch;
  std::vector<int32_t> out;
  encode_ordinary(text, scratch, out);
  return out;
}

void Tokenizer::encode_ordinary(std::string_view text, Scratch& scratch,
                                std::vector<int32_t>& out) const {
  Scratch::State& state = *scratch.state_;
  if (unicode::valid_prefix(text) != text.size()) {
    state.repaired = unicode::replace_invalid(text);
    text = state.repaired;
  }
  if (state.parts != parts_) state.parts = parts_;
  parts_->pre_tokenizer.words(
      parts_->normalizer.apply(text, state.normalized),
      [&](std::string_view word) { parts_->bpe.encode(word, state.bpe, out); });
}

std::vector<TextPart> Tokenizer::split_added(std::string_view text) const {
  std::vector<TextPart> parts;
  parts_->raw_finder.split(text, parts);
  return parts;
}

std::string Tokenizer::normalize(std::string_view text) const {
  std::string buffer;
  return std::string(parts_->normalizer.apply(text, buffer));
}

std::string Tokenizer::decode(std::span<const int32_t> ids, bool skip_special) const {
  std::string text;
  for (const int32_t id : ids) {
    if (id < 0 || id >= vocab_size() ||
        (skip_special && parts_->is_special[static_cast<size_t>(id)]))
      continue;
    text += parts_->bytes_of_id[static_cast<size_t>(id)];
  }
  return unicode::valid_prefix(text) == text.size() ? text : unicode::replace_invalid(text);
}

std::optional<int32_t> Tokenizer::id(std::string_view token) const {
  const int32_t id = parts_->find(token);
  return id < 0 ? std::nullopt : std::optional(id);
}

std::optional<std::string> Tokenizer::token(int32_t id) const {
  if (id < 0 || id >= vocab_size() || !parts_->has_token[static_cast<size_t>(id)])
    return std::nullopt;
  return parts_->written_of_id[static_cast<size_t>(id)];
}

std::string_view Tokenizer::bytes(int32_t id) const {
  if (id < 0 || id >= vocab_size()) return {};
  return parts_->bytes_of_id[static_cast<size_t>(id)];
}

int32_t Tokenizer::vocab_size() const {
  return static_cast<int32_t>(parts_->has_token.size());
}

std::optional<int32_t> Tokenizer::role(std::string_view name) const {
  const auto content = parts_->config.find(name);
  return content ? id(*content) : std::nullopt;
}

const std::vector<int32_t>& Tokenizer::before_text() const {
  if (parts_->post_processor_fault) throw Error(*parts_->post_processor_fault);
  return parts_->before_text;
}

const std::vector<int32_t>& Tokenizer::behind_text() const {
  if (parts_->post_processor_fault) throw Error(*parts_->post_processor_fault);
  return parts_->behind_text;
}

const std::vector<std::string>& Tokenizer::all_special_tokens() const {
  return parts_->all_special;
}

std::vector<int32_t> Tokenizer::all_special_ids() const {
  std::vector<int32_t> ids;
  for (const std::string& token : parts_->all_special) ids.push_back(parts_->find(token));
  return ids;
}

const std::vector<AddedToken>& Tokenizer::added_tokens() const {
  return parts_->added;
}

const std::vector<std::pair<std::string, std::string>>& Tokenizer::named_tokens() const {
  return parts_->config.named;
}

const std::vector<ChatTemplateSource>& Tokenizer::chat_templates() const {
  return parts_->config.chat_templates;
}

const std::optional<std::string>& Tokenizer::chat_template() const {
  return parts_->config.chat_template;
}

}  // namespace lmms::text
