/// Equality with HF tokenizers on stored cases (tests/parity/make_tokenizer_cases.py), and on
/// whatever corpus scripts/check_tokenizer.sh has prepared.
#include <gtest/gtest.h>

#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <thread>

#include "core/files.h"
#include "text/json.h"
#include "text/tokenizer.h"

namespace lmms::text {
namespace {

namespace fs = std::filesystem;

fs::path stored() {
  return fs::path(LMMS_SOURCE_DIR) / "tests" / "parity" / "data" / "tokenizer";
}

std::string from_base64(std::string_view text) {
  static constexpr std::string_view alphabet =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string bytes;
  uint32_t bits = 0;
  int count = 0;
  for (const char c : text) {
    if (c == '=') break;
    bits = bits << 6 | static_cast<uint32_t>(alphabet.find(c));
    count += 6;
    if (count >= 8) bytes.push_back(static_cast<char>(bits >> (count -= 8) & 0xFF));
  }
  return bytes;
}

std::vector<int32_t> ids_of(const Json& list) {
  std::vector<int32_t> ids;
  for (const auto id : list.array()) ids.push_back(static_cast<int32_t>(int64_t(id)));
  return ids;
}

class StoredCases : public testing::TestWithParam<const char*> {};

TEST_P(StoredCases, become_the_ids_of_the_reference_and_back) {
  const Tokenizer tokenizer = Tokenizer::load(stored() / GetParam() / "tokenizer.json").take();
  const JsonFile file = JsonFile::read(stored() / GetParam() / "cases.json").take();
  Tokenizer::Scratch scratch;
  size_t texts = 0, i = 0;
  for (const auto value : file.root().array()) {
    const Json entry = file.root().element(i++, value);
    const std::vector<int32_t> ids = ids_of(entry.at("ids"));
    std::string text;
    if (const auto source = entry.find("text")) {
      ++texts;
      text = from_base64(source->string());
      std::vector<int32_t> ours;
      tokenizer.encode(text, scratch, ours);
      ASSERT_EQ(ours, ids) << "case " << i << ": " << text;
      ASSERT_EQ(tokenizer.encode(text), ids)
          << "case " << i << ", without a memory of words: " << text;
    }
    const auto decoded = entry.find("decoded");
    const std::string expected(decoded ? decoded->string() : text);
    ASSERT_EQ(tokenizer.decode(ids), expected) << "case " << i;
    const auto plain = entry.find("plain");
    ASSERT_EQ(tokenizer.decode(ids, true), plain ? plain->string() : expected) << "case " << i;
  }
  EXPECT_GT(texts, 370u);
}

INSTANTIATE_TEST_SUITE_P(Tokenizers, StoredCases,
                         testing::Values("qwen2_like", "gpt2_like", "llama3_like", "deepseek_like",
                                         "o200k_like", "qwen35_like", "added_tokens",
                                         "unknown_bytes", "vanishing_bytes"),
                         [](const auto& info) { return std::string(info.param); });

/// Records of a u32 count and so many elements, one after another.
template <class T>
std::vector<std::vector<T>> records(const fs::path& path) {
  const MappedFile file = MappedFile::open(path).take();
  std::string_view rest = file.text();
  std::vector<std::vector<T>> out;
  while (rest.size() >= 4) {
    uint32_t count = 0;
    std::memcpy(&count, rest.data(), 4);
    rest.remove_prefix(4);
    std::vector<T> record(count);
    std::memcpy(record.data(), rest.data(), count * sizeof(T));
    rest.remove_prefix(count * sizeof(T));
    out.push_back(std::move(record));
  }
  return out;
}

TEST(Corpus, becomes_the_ids_of_the_reference_and_back) {
  const char* folder = std::getenv("LMMS_TOKENIZER_CORPUS");
  if (folder == nullptr)
    GTEST_SKIP() << "LMMS_TOKENIZER_CORPUS names no corpus; scripts/check_tokenizer.sh makes one";
  const auto texts = records<char>(fs::path(folder) / "texts.bin");
  size_t bytes = 0, tokens = 0;
  for (const auto& entry : fs::directory_iterator(folder)) {
    if (!entry.is_directory()) continue;
    const auto expected = records<int32_t>(entry.path() / "ids.bin");
    const auto decoded = records<char>(entry.path() / "decoded.bin");
    ASSERT_EQ(expected.size(), texts.size());
    for (const char* name : {"tokenizer.json", "qwen.tiktoken"}) {
      if (!fs::exists(entry.path() / name)) continue;
      const Tokenizer tokenizer = Tokenizer::load(entry.path() / name).take();
      Tokenizer::Scratch scratch;
      std::vector<int32_t> ids;
      for (size_t i = 0; i < texts.size(); ++i) {
        const std::string_view text(texts[i].data(), texts[i].size());
        ids.clear();
        tokenizer.encode(text, scratch, ids);
        ASSERT_EQ(ids, expected[i]) << entry.path() << " text " << i << ": " << text;
        ASSERT_EQ(tokenizer.decode(ids), std::string_view(decoded[i].data(), decoded[i].size()));
        bytes += text.size();
        tokens += ids.size();
      }
    }
  }
  printf("%zu bytes, %zu tokens equal\n", bytes, tokens);
  EXPECT_GT(bytes, 5'000'000u);
}

TEST(Tokenizer, gives_the_same_ids_from_many_threads) {
  const Tokenizer tokenizer = Tokenizer::load(stored() / "qwen2_like" / "tokenizer.json").take();
  const JsonFile file = JsonFile::read(stored() / "qwen2_like" / "cases.json").take();
  std::vector<std::pair<std::string, std::vector<int32_t>>> cases;
  size_t i = 0;
  for (const auto value : file.root().array()) {
    const Json entry = file.root().element(i++, value);
    if (const auto text = entry.find("text"))
      cases.emplace_back(from_base64(text->string()), ids_of(entry.at("ids")));
  }
  std::vector<int> wrong(4);
  {
    std::vector<std::jthread> threads;
    for (size_t t = 0; t < wrong.size(); ++t) {
      threads.emplace_back([&, t] {
        Tokenizer::Scratch scratch;
        for (const auto& [text, ids] : cases) {
          std::vector<int32_t> ours;
          tokenizer.encode(text, scratch, ours);
          wrong[t] += ours != ids;
        }
      });
    }
  }
  EXPECT_EQ(wrong, std::vector<int>(4));
}

}  // namespace
}  // namespace lmms::text
