/// Reads HF tokenizers' tokenizer.json.
#include <algorithm>

#include "core/format.h"
#include "text/json.h"
#include "text/tokenizer_parts.h"

namespace lmms::text {
namespace {

constexpr const char* kScope =
    "only byte-level BPE tokenizers are read (Qwen, GPT-2, Llama 3 and their like)";

std::string_view type_of(const Json& part) {
  return part.at("type").string();
}

[[noreturn]] void unsupported(const Json& part, std::string_view kind) {
  part.fail(fmt::format("{} '{}' is not supported", kind, type_of(part)), kScope);
}

/// Calls `each` for a part, or for the parts of a (nested) Sequence, whose list is named `list`.
template <class Each>
void for_each_part(const Json& part, std::string_view list, int depth, const Each& each) {
  if (type_of(part) != "Sequence") return each(part);
  if (depth == 0) part.fail("sequences are nested too deeply");
  const Json parts = part.at(list);
  size_t i = 0;
  for (const auto inner : parts.array())
    for_each_part(parts.element(i++, inner), list, depth - 1, each);
}
constexpr int kDepth = 8;

Regex compile(const Json& pattern) {
  auto regex = Regex::compile(pattern.string());
  if (!regex) pattern.fail(regex.fault().what, regex.fault().fix);
  return std::move(*regex);
}

void read_normalizer(const Json& root, Normalizer& out) {
  const auto normalizer = root.find("normalizer");
  if (!normalizer) return;
  for_each_part(*normalizer, "normalizers", kDepth, [&](const Json& part) {
    const std::string_view type = type_of(part);
    if (type == "NFC") {
      out.add(Nfc{});
    } else if (type == "Prepend") {
      out.add(Prepend{std::string(part.at("prepend").string())});
    } else if (type == "Replace") {
      const Json pattern = part.at("pattern");
      const std::string to(part.at("content").string());
      if (const auto literal = pattern.find("String")) {
        if (literal->string().empty()) literal->fail("an empty pattern");
        out.add(ReplaceText{std::string(literal->string()), to});
      } else {
        out.add(ReplaceMatches{compile(pattern.at("Regex")), to});
      }
    } else {
      unsupported(part, "normalizer");
    }
  });
}

Matches matches_of(const Json& behavior) {
  const std::string_view name = behavior.string();
  if (name == "Isolated") return Matches::isolated;
  if (name == "Removed") return Matches::removed;
  if (name == "MergedWithPrevious") return Matches::merged_with_previous;
  if (name == "MergedWithNext") return Matches::merged_with_next;
  if (name == "Contiguous") return Matches::contiguous;
  behavior.fail(fmt::format("unknown behavior '{}'", name));
}

PreTokenizer::Split read_split(const Json& part) {
  const Matches matches = matches_of(part.at("behavior"));
  const bool inverted = part.boolean_or("invert", false);
  const Json pattern = part.at("pattern");
  if (const auto literal = pattern.find("String")) {
    if (literal->string().empty()) literal->fail("an empty pattern");
    return {std::string(literal->string()), matches, inverted};
  }
  const Json regex = pattern.at("Regex");
  if (const auto known = known_pattern(regex.string())) return {*known, matches, inverted};
  return {compile(regex), matches, inverted};
}

void read_pre_tokenizer(const Json& root, PreTokenizer& out) {
  const auto pre_tokenizer = root.find("pre_tokenizer");
  bool byte_level = false;
  const auto read = [&](const Json& part) {
    // ByteLevel writes bytes as stand-ins; a step behind it would cut those.
    if (byte_level) part.fail("a pre-tokenizer after ByteLevel is not supported", kScope);
    const std::string_view type = type_of(part);
    if (type == "ByteLevel") {
      byte_level = true;
      if (part.boolean_or("add_prefix_space", true)) out.add(PreTokenizer::PrefixSpace{});
      if (part.boolean_or("use_regex", true)) out.add(PreTokenizer::Split{WordPattern::gpt2});
    } else if (type == "Split") {
      out.add(read_split(part));
    } else if (type == "Digits") {
      out.add(PreTokenizer::Digits{part.boolean_or("individual_digits", false)});
    } else {
      unsupported(part, "pre-tokenizer");
    }
  };
  if (pre_tokenizer) for_each_part(*pre_tokenizer, "pretokenizers", kDepth, read);
  if (!byte_level) root.fail("pre_tokenizer: no ByteLevel step; its tokens are not bytes", kScope);
}

void check_decoder(const Json& root) {
  const auto decoder = root.find("decoder");
  if (!decoder) root.fail("decoder: expected ByteLevel, got none", kScope);
  for_each_part(*decoder, "decoders", kDepth, [](const Json& part) {
    if (type_of(part) != "ByteLevel") unsupported(part, "decoder");
  });
}

int32_t id_of(const Json& value) {
  const int64_t id = value.integer();
  if (id < 0 || id > kLargestId)
    value.fail(fmt::format("id {} is not between 0 and {}", id, kLargestId));
  return static_cast<int32_t>(id);
}

}  // namespace

void read_vocab(const Json& vocab, TokenizerSpec& spec) {
  for (const auto [token, value] : vocab.object()) {
    int64_t id = -1;
    if (value.get(id) != simdjson::SUCCESS || id < 0 || id > kLargestId)
      id_of(vocab.member(token, value));
    if (spec.written.add(token) != spec.ids.size())
      vocab.fail(fmt::format("token '{}' stands there twice", token));
    spec.ids.push_back(static_cast<int32_t>(id));
  }
}

namespace {

/// The two halves of a merge: ["a", "b"], or "a b" in older files.
bool halves(simdjson::dom::element entry, std::string_view& left, std::string_view& right) {
  simdjson::dom::array pair;
  if (entry.get(pair) == simdjson::SUCCESS) {
    return pair.size() == 2 && pair.at(0).get(left) == simdjson::SUCCESS &&
           pair.at(1).get(right) == simdjson::SUCCESS;
  }
  std::string_view text;
  if (entry.get(text) != simdjson::SUCCESS) return false;
  const size_t space = text.find(' ');
  if (space == std::string_view::npos || text.find(' ', space + 1) != std::string_view::npos)
    return false;
  left = text.substr(0, space);
  right = text.substr(space + 1);
  return true;
}

void read_merges(const Json& merges, TokenizerSpec& spec) {
  std::string joined;
  size_t i = 0;
  for (const auto entry : merges.array()) {
    std::string_view left, right;
    if (!halves(entry, left, right)) merges.element(i, entry).fail("expected a pair of tokens");
    joined.assign(left).append(right);
    const auto token = [&](std::string_view written) {
      const uint32_t number = spec.written.find(written);
      if (number == StringIndex::kNone)
        merges.element(i, entry).fail(fmt::format("'{}' is not in the vocabulary", written));
      return spec.ids[number];
    };
    spec.merges.push_back({token(left), token(right), token(joined)});
    ++i;
  }
}

void read_model(const Json& model, TokenizerSpec& spec) {
  const auto type = model.find("type");
  if (!type || type->string() != "BPE") {
    model.fail(fmt::format("model '{}' is not supported", type ? type->string() : "without a type"),
               kScope);
  }
  if (model.boolean_or("byte_fallback", false))
    model.fail("byte_fallback is not supported", kScope);
  for (const std::string_view affix : {"continuing_subword_prefix", "end_of_word_suffix"}) {
    const auto value = model.find(affix);
    if (value && !value->string().empty()) value->fail("only an empty one is supported", kScope);
  }
  if (const auto dropout = model.find("dropout")) {
    double share = 0;
    if (dropout->value().get(share) != simdjson::SUCCESS || share != 0)
      dropout->fail("only null or 0 is supported");
  }
  read_vocab(model.at("vocab"), spec);
  read_merges(model.at("merges"), spec);
  spec.bpe.ignore_merges = model.boolean_or("ignore_merges", false);
  spec.bpe.fuse_unknown = model.boolean_or("fuse_unk", false);
  if (const auto unknown = model.find("unk_token")) {
    const uint32_t number = spec.written.find(unknown->string());
    if (number == StringIndex::kNone) unknown->fail("is not in the vocabulary");
    spec.bpe.unknown = spec.ids[number];
  }
}

/// The ids that a template puts around a text, outside of those that are there already.
void read_template(const Json& part, TokenizerSpec& spec) {
  std::vector<int32_t> before, behind;
  bool behind_the_text = false;
  const Json single = part.at("single");
  size_t i = 0;
  for (const auto value : single.array()) {
    const Json piece = single.element(i++, value);
    const auto token = piece.find("SpecialToken");
    if (!token) {
      behind_the_text = true;
      continue;
    }
    const Json ids = part.at("special_tokens").at(token->at("id").string()).at("ids");
    size_t k = 0;
    for (const auto id : ids.array())
      (behind_the_text ? behind : before).push_back(id_of(ids.element(k++, id)));
  }
  spec.before_text.insert(spec.before_text.begin(), before.begin(), before.end());
  spec.behind_text.insert(spec.behind_text.end(), behind.begin(), behind.end());
}

/// What cannot be read is a fault of whole texts alone: chats need no post-processor.
void read_post_processor(const Json& root, TokenizerSpec& spec) {
  const auto processor = root.find("post_processor");
  if (!processor) return;
  try {
    for_each_part(*processor, "processors", kDepth, [&](const Json& part) {
      if (type_of(part) == "TemplateProcessing") return read_template(part, spec);
      if (type_of(part) == "ByteLevel") return;  // which moves offsets alone
      part.fail(fmt::format("post-processor '{}' is not supported: what it puts around a text is "
                            "not known",
                            type_of(part)),
                "use chats, which need none, or take it out of the file if it puts nothing there");
    });
  } catch (const Error& error) {
    spec.post_processor_fault = error.fault();
  }
}

void read_added_tokens(const Json& root, TokenizerSpec& spec) {
  const auto list = root.find("added_tokens");
  if (!list) return;
  size_t i = 0;
  for (const auto value : list->array()) {
    const Json entry = list->element(i++, value);
    AddedToken token;
    token.id = id_of(entry.at("id"));
    token.content = entry.at("content").string();
    token.single_word = entry.boolean_or("single_word", false);
    token.lstrip = entry.boolean_or("lstrip", false);
    token.rstrip = entry.boolean_or("rstrip", false);
    token.special = entry.boolean_or("special", false);
    token.normalized = entry.boolean_or("normalized", !token.special);
    spec.added.push_back(std::move(token));
  }
}

}  // namespace

TokenizerSpec read_tokenizer_json(std::string text, const std::string& where) {
  const JsonFile file = JsonFile::parse(std::move(text), where).take();
  const Json root = file.root();
  TokenizerSpec spec;
  spec.where = where;
  read_normalizer(root, spec.normalizer);
  read_pre_tokenizer(root, spec.pre_tokenizer);
  check_decoder(root);
  read_model(root.at("model"), spec);
  read_added_tokens(root, spec);
  read_post_processor(root, spec);
  return spec;
}

}  // namespace lmms::text
