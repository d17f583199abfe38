/// What the readers take, refuse and survive. Equality with the reference is in
/// tokenizer_parity_test.cpp.
#include "text/tokenizer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "core/files.h"
#include "core/rng.h"
#include "text/chat_template.h"

namespace lmms::text {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using testing::HasSubstr;

fs::path stored() {
  return fs::path(LMMS_SOURCE_DIR) / "tests" / "parity" / "data" / "tokenizer";
}

/// All bytes, "ab" and "abc", and one special token.
json small() {
  json vocab = json::object();
  for (int b = 0; b < 256; ++b) {
    const bool printable = (b >= '!' && b <= '~') || (b >= 0xA1 && b <= 0xAC) || b >= 0xAE;
    static int spare = 0;
    if (b == 0) spare = 0x100;
    const int c = printable ? b : spare++;
    std::string written;
    if (c < 0x80) {
      written = static_cast<char>(c);
    } else {
      written = {static_cast<char>(0xC0 | c >> 6), static_cast<char>(0x80 | (c & 0x3F))};
    }
    vocab[written] = b;
  }
  vocab["ab"] = 256;
  vocab["abc"] = 257;
  return {
      {"version", "1.0"},
      {"added_tokens",
       {{{"id", 258}, {"content", "<end>"}, {"special", true}, {"normalized", false}}}},
      {"normalizer", {{"type", "NFC"}}},
      {"pre_tokenizer", {{"type", "ByteLevel"}, {"add_prefix_space", false}, {"use_regex", true}}},
      {"post_processor", nullptr},
      {"decoder", {{"type", "ByteLevel"}}},
      {"model", {{"type", "BPE"}, {"vocab", vocab}, {"merges", {"a b", "ab c"}}}},
  };
}

Result<Tokenizer> load(const json& description) {
  return Tokenizer::from_json(description.dump(), "t.json");
}

std::string fault_of(const json& description) {
  const auto loaded = load(description);
  return loaded ? "no fault" : loaded.fault().text();
}

/// A folder that is gone with the test.
struct Folder {
  fs::path path = fs::temp_directory_path() / ("lmms_tokenizer_" + std::to_string(::getpid()));
  Folder() {
    fs::remove_all(path);
    fs::create_directories(path);
  }
  ~Folder() { fs::remove_all(path); }
  void write(const std::string& name, const std::string& text) const {
    write_atomically(path / name, text);
  }
};

TEST(TokenizerJson, reads_merges_as_strings_and_as_pairs) {
  json pairs = small();
  pairs["model"]["merges"] = json::array({json::array({"a", "b"}), json::array({"ab", "c"})});
  for (const json& description : {small(), pairs}) {
    const Tokenizer tokenizer = load(description).take();
    EXPECT_EQ(tokenizer.encode("abcab<end>b"), (std::vector<int32_t>{257, 256, 258, 'b'}));
    EXPECT_EQ(tokenizer.encode_ordinary("<end>").size(), 5u);
    EXPECT_EQ(tokenizer.id("<end>"), 258);
    EXPECT_EQ(tokenizer.id("abc"), 257);
    EXPECT_EQ(tokenizer.id("nothing"), std::nullopt);
    EXPECT_EQ(tokenizer.token(256), "ab");
    EXPECT_EQ(tokenizer.token(259), std::nullopt);
    EXPECT_EQ(tokenizer.token(-1), std::nullopt);
    EXPECT_EQ(tokenizer.bytes(' '), " ");
    EXPECT_EQ(tokenizer.bytes(-7), "");
    EXPECT_EQ(tokenizer.vocab_size(), 259);
    EXPECT_EQ(tokenizer.decode(std::vector<int32_t>{257, 258, 9999, -5}), "abc<end>");
    EXPECT_EQ(tokenizer.decode(std::vector<int32_t>{257, 258, 9999, -5}, true), "abc");
  }
}

TEST(TokenizerJson, joins_the_lowest_rank_first_and_of_equals_the_leftmost) {
  json description = small();
  description["model"]["vocab"]["bc"] = 258;
  description["model"]["vocab"]["aa"] = 259;
  description["model"]["merges"] = {"b c", "a b", "ab c", "a a"};
  description["added_tokens"] = json::array();
  const Tokenizer tokenizer = load(description).take();
  EXPECT_EQ(tokenizer.encode("abc"),
            (std::vector<int32_t>{'a', 258}));  // "abc" is a token that merging never reaches
  EXPECT_EQ(tokenizer.encode("aaa"), (std::vector<int32_t>{259, 'a'}));
  description["model"]["ignore_merges"] = true;
  EXPECT_EQ(load(description).take().encode("abc"), (std::vector<int32_t>{257}));
}

TEST(TokenizerJson, encodes_a_very_long_word_as_it_encodes_a_short_one) {
  const Tokenizer tokenizer = load(small()).take();
  std::string word;
  std::vector<int32_t> ids;
  for (int i = 0; i < 60'000; ++i) {
    word += i % 3 == 0 ? "abc" : i % 3 == 1 ? "ab" : "c";
    if (i % 3 == 0) ids.push_back(257);
    if (i % 3 == 1) ids.push_back(257);  // "ab" and the "c" after it
  }
  EXPECT_EQ(tokenizer.encode(word), ids);
}

TEST(TokenizerJson, names_each_element_that_it_does_not_support) {
  const auto changed = [](const char* pointer, const json& value) {
    json description = small();
    description[json::json_pointer(pointer)] = value;
    return fault_of(description);
  };
  EXPECT_THAT(changed("/normalizer", {{"type", "NFKC"}}),
              HasSubstr("normalizer: normalizer 'NFKC' is not supported"));
  EXPECT_THAT(changed("/pre_tokenizer", {{"type", "Metaspace"}}), HasSubstr("'Metaspace'"));
  EXPECT_THAT(changed("/pre_tokenizer", nullptr), HasSubstr("no ByteLevel step"));
  EXPECT_THAT(changed("/pre_tokenizer",
                      {{"type", "Sequence"},
                       {"pretokenizers", {{{"type", "ByteLevel"}}, {{"type", "Digits"}}}}}),
              HasSubstr("pre_tokenizer.pretokenizers[1]"));
  EXPECT_THAT(changed("/pre_tokenizer", {{"type", "Split"},
                                         {"pattern", {{"Regex", R"(\p{Greek}+)"}}},
                                         {"behavior", "Isolated"}}),
              HasSubstr(R"(\p{Greek})"));
  EXPECT_THAT(
      changed("/pre_tokenizer",
              {{"type", "Split"}, {"pattern", {{"Regex", "(a"}}}, {"behavior", "Isolated"}}),
      HasSubstr("not valid"));
  EXPECT_THAT(changed("/pre_tokenizer",
                      {{"type", "Split"}, {"pattern", {{"String", ""}}}, {"behavior", "Isolated"}}),
              HasSubstr("empty pattern"));
  EXPECT_THAT(
      changed("/pre_tokenizer",
              {{"type", "Split"}, {"pattern", {{"String", "a"}}}, {"behavior", "Sideways"}}),
      HasSubstr("'Sideways'"));
  EXPECT_THAT(changed("/decoder", {{"type", "Metaspace"}}), HasSubstr("decoder 'Metaspace'"));
  EXPECT_THAT(changed("/decoder", nullptr), HasSubstr("expected ByteLevel"));
  EXPECT_THAT(changed("/model/type", "Unigram"), HasSubstr("model 'Unigram' is not supported"));
  EXPECT_THAT(changed("/model/byte_fallback", true), HasSubstr("byte_fallback"));
  EXPECT_THAT(changed("/model/dropout", 0.1), HasSubstr("model.dropout"));
  EXPECT_THAT(changed("/model/end_of_word_suffix", "</w>"), HasSubstr("end_of_word_suffix"));
}

TEST(TokenizerJson, has_what_a_template_puts_around_a_text) {
  json description = small();
  const json end = {{"SpecialToken", {{"id", "<end>"}, {"type_id", 0}}}};
  const json text = {{"Sequence", {{"id", "A"}, {"type_id", 0}}}};
  description["post_processor"] = {
      {"type", "TemplateProcessing"},
      {"single", {end, text, end, end}},
      {"pair", json::array()},
      {"special_tokens", {{"<end>", {{"id", "<end>"}, {"ids", {258}}, {"tokens", {"<end>"}}}}}}};
  const Tokenizer tokenizer = load(description).take();
  EXPECT_EQ(tokenizer.before_text(), (std::vector<int32_t>{258}));
  EXPECT_EQ(tokenizer.behind_text(), (std::vector<int32_t>{258, 258}));
  EXPECT_EQ(tokenizer.encode("abc"), (std::vector<int32_t>{257}));
  Tokenizer::Scratch scratch;
  const LabelledIds plain = encode_plain_text(tokenizer, "abc", false, scratch);
  EXPECT_EQ(plain.ids, (std::vector<int32_t>{258, 257, 258, 258}));
  EXPECT_EQ(plain.trained_count(), 4);
}

TEST(TokenizerJson, of_another_post_processor_is_read_and_refuses_whole_texts_alone) {
  for (const char* type : {"RobertaProcessing", "BertProcessing"}) {
    json description = small();
    description["post_processor"] = {
        {"type", type}, {"sep", {"<end>", 258}}, {"cls", {"<end>", 258}}};
    const Tokenizer tokenizer = load(description).take();
    EXPECT_EQ(tokenizer.encode("abc<end>"), (std::vector<int32_t>{257, 258}));
    const auto fault = [](const auto& run) -> std::string {
      try {
        run();
      } catch (const Error& error) {
        return error.what();
      }
      return "no fault";
    };
    const std::string wanted =
        "t.json: post_processor: post-processor '" + std::string(type) + "' is not supported";
    EXPECT_THAT(fault([&] { (void)tokenizer.before_text(); }), HasSubstr(wanted));
    EXPECT_THAT(fault([&] { (void)tokenizer.behind_text(); }), HasSubstr(wanted));
    Tokenizer::Scratch scratch;
    EXPECT_THAT(fault([&] { encode_plain_text(tokenizer, "abc", false, scratch); }),
                HasSubstr(wanted));
  }
}

TEST(TokenizerJson, says_where_a_value_is_wrong) {
  const auto changed = [](const char* pointer, const json& value) {
    json description = small();
    description[json::json_pointer(pointer)] = value;
    return fault_of(description);
  };
  EXPECT_THAT(changed("/model/vocab", 5),
              HasSubstr("t.json: model.vocab: expected an object, got a number"));
  EXPECT_THAT(changed("/model/vocab/ab", "x"),
              HasSubstr("model.vocab.ab: expected a whole number, got a string"));
  EXPECT_THAT(changed("/model/vocab/ab", -1), HasSubstr("model.vocab.ab: id -1"));
  EXPECT_THAT(changed("/model/vocab/ab", 1e30), HasSubstr("model.vocab.ab"));
  EXPECT_THAT(changed("/model/vocab/ab", 4'000'000'000),
              HasSubstr("id 4000000000 is not between 0 and"));
  EXPECT_THAT(changed("/model/vocab/ab", 257), HasSubstr("id 257"));
  EXPECT_THAT(changed("/model/merges", {"a  b"}), HasSubstr("model.merges[0]: expected a pair"));
  EXPECT_THAT(changed("/model/merges", {"a b", "b b"}),
              HasSubstr("model.merges[1]: 'bb' is not in the vocabulary"));
  EXPECT_THAT(changed("/model/merges", {json{"a", 1}}), HasSubstr("model.merges[0]"));
  EXPECT_THAT(changed("/model/unk_token", "<unk>"), HasSubstr("model.unk_token"));
  EXPECT_THAT(changed("/added_tokens/0/id", 400),
              HasSubstr("'<end>' has id 400, but comes to stand at 258"));
  EXPECT_THAT(changed("/added_tokens/0/content", nullptr),
              HasSubstr("added_tokens[0].content: expected a string, got null"));
  EXPECT_THAT(changed("/added_tokens", {{"a", 1}}), HasSubstr("added_tokens: expected a list"));
  json without = small();
  without["model"].erase("vocab");
  EXPECT_THAT(fault_of(without), HasSubstr("model: 'vocab' is missing"));
  json nested = {{"type", "NFC"}};
  for (int i = 0; i < 100; ++i) nested = {{"type", "Sequence"}, {"normalizers", {nested}}};
  EXPECT_THAT(changed("/normalizer", nested), HasSubstr("nested too deeply"));
  EXPECT_THAT(Tokenizer::from_json("", "t.json").fault().text(),
              HasSubstr("t.json: is not valid JSON"));
  EXPECT_THAT(Tokenizer::from_json("[1, 2]", "t.json").fault().text(),
              HasSubstr("expected an object, got a list"));
  EXPECT_THAT(Tokenizer::from_json(std::string(100'000, '['), "t.json").fault().text(),
              HasSubstr("not valid JSON"));
  EXPECT_THAT(Tokenizer::from_json(
                  R"({"model": {"type": "BPE", "vocab": {"a": 0, "a": 1}, "merges": []},)"
                  R"("decoder": {"type": "ByteLevel"}, "pre_tokenizer": {"type": "ByteLevel"}})",
                  "t.json")
                  .fault()
                  .text(),
              HasSubstr("token 'a' stands there twice"));
}

TEST(TokenizerJson, survives_a_file_cut_off_anywhere) {
  const std::string text = small().dump();
  for (size_t length = 0; length < text.size(); length += 7) {
    EXPECT_FALSE(Tokenizer::from_json(text.substr(0, length), "t.json").ok()) << length;
  }
}

/// Random damage to a real file, then encoding with whatever still loads: no crash, no error but a
/// fault.
TEST(TokenizerJson, survives_random_damage) {
  const std::string intact = read_file(stored() / "added_tokens" / "tokenizer.json").take();
  const std::string hard =
      "the <left> e\u0301clair ''quoted'' \xF0\x9F\x98 1234\n\n  <a><b> word x";
  const auto key = rng::key(7, rng::Purpose::corruption);
  int loaded = 0;
  for (uint32_t round = 0; round < 3000; ++round) {
    std::string text = intact;
    const uint32_t changes = 1 + rng::philox({round, 0, 0, 0}, key)[0] % 4;
    for (uint32_t change = 0; change < changes; ++change) {
      const auto draw = rng::philox({round, change, 1, 0}, key);
      const size_t at = draw[0] % text.size();
      static constexpr std::string_view likely = "0123456789\"{}[],:-eE.\\ntf ";
      switch (draw[1] % 4) {
        case 0:
          text[at] = likely[draw[2] % likely.size()];
          break;
        case 1:
          text[at] = static_cast<char>(draw[2]);
          break;
        case 2:
          text.erase(at, draw[2] % 40);
          break;
        default:
          text.insert(at, text.substr(draw[2] % text.size(), draw[3] % 40));
      }
    }
    const auto tokenizer = Tokenizer::from_json(text, "t.json");
    if (!tokenizer) {
      EXPECT_FALSE(tokenizer.fault().what.empty());
      continue;
    }
    ++loaded;
    EXPECT_LE(tokenizer->encode(hard).size(), 2 * hard.size());
    EXPECT_LE(tokenizer->vocab_size(), 1 << 22);
  }
  EXPECT_GT(loaded, 50);
}

TEST(TokenizerFolder, reads_vocab_and_merges_as_the_class_in_the_config_says) {
  const Folder folder;
  folder.write("vocab.json", small()["model"]["vocab"].dump());
  folder.write("merges.txt", "#version: 0.2\na b\nab c\n");
  EXPECT_THAT(Tokenizer::load(folder.path).fault().text(), HasSubstr("Qwen2Tokenizer"));
  folder.write(
      "tokenizer_config.json",
      R"({"tokenizer_class": "Qwen2Tokenizer", "added_tokens_decoder": {"258": {"content": "<|endoftext|>", "special": true}}})");
  const Tokenizer tokenizer = Tokenizer::load(folder.path).take();
  EXPECT_EQ(tokenizer.encode("abc<|endoftext|>e\u0301"),
            (std::vector<int32_t>{257, 258, 0xC3, 0xA9}));
  EXPECT_EQ(tokenizer.pad(), 258);
  EXPECT_EQ(tokenizer.all_special_tokens(), std::vector<std::string>{"<|endoftext|>"});
  folder.write("merges.txt", "a b\nab q\n");
  EXPECT_THAT(Tokenizer::load(folder.path).fault().text(),
              HasSubstr("merges.txt:2: 'abq' is not in"));
}

TEST(TokenizerFolder, says_what_it_looked_for) {
  const Folder folder;
  EXPECT_THAT(Tokenizer::load(folder.path).fault().text(), HasSubstr("tokenizer.json"));
  EXPECT_THAT(Tokenizer::load(folder.path / "nothing").fault().text(), HasSubstr("nothing"));
  folder.write("tokenizer.json", small().dump());
  folder.write("tokenizer_config.json", R"({"eos_token": 5})");
  EXPECT_THAT(Tokenizer::load(folder.path).fault().text(),
              HasSubstr("tokenizer_config.json: eos_token: expected a token"));
  folder.write("tokenizer_config.json", R"({"added_tokens_decoder": {"12x": {"content": "<a>"}}})");
  EXPECT_THAT(Tokenizer::load(folder.path).fault().text(), HasSubstr("added_tokens_decoder.12x"));
}

TEST(TokenizerFolder, takes_the_chat_template_from_the_config_or_from_its_own_file) {
  const Folder folder;
  folder.write("tokenizer.json", small().dump());
  EXPECT_EQ(Tokenizer::load(folder.path).take().chat_template(), std::nullopt);
  folder.write(
      "tokenizer_config.json",
      R"({"chat_template": [{"name": "tool_use", "template": "T"}, {"name": "default", "template": "D"}]})");
  EXPECT_EQ(Tokenizer::load(folder.path).take().chat_template(), "D");
  folder.write("chat_template.jinja", "J");
  EXPECT_EQ(Tokenizer::load(folder.path).take().chat_template(), "J");
  folder.write("chat_template.json", R"({"chat_template": "P"})");
  EXPECT_EQ(Tokenizer::load(folder.path).take().chat_template(), "P");
}

constexpr const char* kMark = "\xEF\xBB\xBF";

TEST(TokenizerFolder, reads_what_pythons_json_writes) {
  const Folder folder;
  json description = small();
  description["truncation"] = {{"max_length", "LIMIT"}};
  for (const char* limit : {"1000000000000000019884624838656", "Infinity", "NaN", "1e400"}) {
    std::string text = description.dump();
    text.replace(text.find("\"LIMIT\""), 7, limit);
    folder.write("tokenizer.json", kMark + text);
    const std::string config = std::string(R"({"model_max_length": )") + limit;
    folder.write("tokenizer_config.json", kMark + config + R"(, "eos_token": "<end>"})");
    folder.write("special_tokens_map.json", kMark + config + R"(, "pad_token": "<end>"})");
    const Tokenizer tokenizer = Tokenizer::load(folder.path).take();
    EXPECT_EQ(tokenizer.encode("abc"), std::vector<int32_t>{257}) << limit;
    EXPECT_EQ(tokenizer.pad(), 258) << limit;
    folder.write("tokenizer_config.json", config + R"(, "added_tokens_decoder": {"258": NaN}})");
    EXPECT_THAT(Tokenizer::load(folder.path).fault().text(),
                HasSubstr("added_tokens_decoder.258: expected an object"));
  }
  folder.write("tokenizer_config.json", R"({"model_max_length": Infinite})");
  EXPECT_THAT(Tokenizer::load(folder.path).fault().text(),
              HasSubstr("tokenizer_config.json: is not valid JSON"));
}

TEST(TokenizerFolder, reads_text_files_with_a_byte_order_mark) {
  const Folder folder;
  folder.write("vocab.json", kMark + small()["model"]["vocab"].dump());
  folder.write("merges.txt", kMark + std::string("#version: 0.2\na b\nab c\n"));
  folder.write("chat_template.jinja", kMark + std::string("J"));
  folder.write("tokenizer_config.json", R"({"tokenizer_class": "GPT2Tokenizer",
    "added_tokens_decoder": {"258": {"content": "<|endoftext|>", "special": true}}})");
  const Tokenizer tokenizer = Tokenizer::load(folder.path).take();
  EXPECT_EQ(tokenizer.encode("abc"), std::vector<int32_t>{257});
  EXPECT_EQ(tokenizer.chat_template(), "J");
}

std::string base64(std::string_view bytes) {
  static constexpr std::string_view alphabet =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string text;
  for (size_t i = 0; i < bytes.size(); i += 3) {
    uint32_t bits = 0;
    for (size_t k = 0; k < 3; ++k)
      bits = bits << 8 | (i + k < bytes.size() ? static_cast<uint8_t>(bytes[i + k]) : 0);
    for (size_t k = 0; k < 4; ++k)
      text += i + k > bytes.size() ? '=' : alphabet[bits >> (18 - 6 * k) & 63];
  }
  return text;
}

TEST(TiktokenFile, derives_merges_from_ranks_and_appends_qwens_special_tokens) {
  std::string ranks;
  for (int b = 0; b < 256; ++b)
    ranks += base64(std::string(1, static_cast<char>(b))) + " " + std::to_string(b) + "\n";
  const std::string bytes_only = ranks;
  ranks += base64("ab") + " 256\r\n\n" + base64("abc") + " 257\n" + base64("xyz") + " 260\n";
  const Folder folder;
  folder.write("small.tiktoken", kMark + ranks);
  for (const fs::path& path : {folder.path, folder.path / "small.tiktoken"}) {
    const Tokenizer tokenizer = Tokenizer::load(path).take();
    // No merge makes "xyz": it is a token as a whole word alone, as tiktoken has it.
    EXPECT_EQ(tokenizer.encode("abcab xyz<|im_end|>"),
              (std::vector<int32_t>{257, 256, ' ', 'x', 'y', 'z', 263}));
    EXPECT_EQ(tokenizer.encode("xyz"), std::vector<int32_t>{260});
    EXPECT_EQ(tokenizer.id("<|endoftext|>"), 261);
    EXPECT_EQ(tokenizer.id("<|extra_204|>"), 261 + 207);
  }
  const auto fault = [&](const std::string& text) {
    folder.write("small.tiktoken", text);
    return Tokenizer::load(folder.path).fault().text();
  };
  EXPECT_THAT(fault(""), HasSubstr("byte 0 is no token"));
  EXPECT_THAT(fault("IQ== 0\nIg==\n"), HasSubstr("small.tiktoken:2: expected a token in base64"));
  EXPECT_THAT(fault("I?== 0\n"), HasSubstr("small.tiktoken:1"));
  EXPECT_THAT(fault("IQ== 99999999999\n"), HasSubstr("small.tiktoken:1"));
  EXPECT_THAT(fault("IQ== 1x\n"), HasSubstr("small.tiktoken:1"));
  EXPECT_THAT(fault(std::string(4000, 'Q') + " 1\n"), HasSubstr("a token of 3000 bytes"));
  EXPECT_THAT(fault("IQ== 5\nIg== 5\n"), HasSubstr("rank 5 does not rise"));
  EXPECT_THAT(fault("IQ== 5\nIQ== 6\n"), HasSubstr("twice"));
}

TEST(Tokenizer, one_scratch_serves_several_tokenizers_in_turn) {
  json other = small();
  other["model"]["merges"] = json::array();
  const Tokenizer first = load(small()).take();
  Tokenizer::Scratch scratch;
  for (int round = 0; round < 2; ++round) {
    std::vector<int32_t> ids;
    first.encode("xab", scratch, ids);
    EXPECT_EQ(ids, (std::vector<int32_t>{'x', 256}));
    ids.clear();
    load(other).take().encode("xab", scratch, ids);
    EXPECT_EQ(ids, (std::vector<int32_t>{'x', 'a', 'b'}));
  }
}

}  // namespace
}  // namespace lmms::text
