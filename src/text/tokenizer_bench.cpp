/// Megabytes of text a second through the tokenizer, on one thread.
///
///     LMMS_BENCH_TOKENIZER=tokenizer.json LMMS_BENCH_TEXTS=a.txt:b.txt text_bench
///
/// Without them: the small stored tokenizer on this repository's own documents. bench/tokenizer.py
/// runs it on the full Qwen vocabulary beside HF tokenizers and bpe-qwen.
#include <benchmark/benchmark.h>

#include <cstdlib>
#include <filesystem>
#include <sstream>

#include "core/files.h"
#include "text/tokenizer.h"

namespace lmms::text {
namespace {

namespace fs = std::filesystem;

std::string setting(const char* name, const char* otherwise) {
  const char* value = std::getenv(name);
  return value ? value : otherwise;
}

std::vector<std::string> paths() {
  std::stringstream list(setting("LMMS_BENCH_TEXTS", "docs/tour.md"));
  std::vector<std::string> paths;
  for (std::string path; std::getline(list, path, ':');) paths.push_back(path);
  return paths;
}

/// Pieces of about 4 KB, as chats and pages are, cut at line breaks.
std::vector<std::string> documents(const std::string& text) {
  std::vector<std::string> pieces;
  for (size_t at = 0; at < text.size();) {
    const size_t end = text.find('\n', std::min(at + 4000, text.size()));
    pieces.push_back(text.substr(at, end == std::string::npos ? end : end + 1 - at));
    at += pieces.back().size();
  }
  return pieces;
}

const Tokenizer& tokenizer() {
  static const Tokenizer loaded =
      Tokenizer::load(
          setting("LMMS_BENCH_TOKENIZER", "tests/parity/data/tokenizer/qwen2_like/tokenizer.json"))
          .take();
  return loaded;
}

void load(benchmark::State& state) {
  const fs::path path =
      setting("LMMS_BENCH_TOKENIZER", "tests/parity/data/tokenizer/qwen2_like/tokenizer.json");
  for (auto run : state) benchmark::DoNotOptimize(Tokenizer::load(path).ok());
}

void encode(benchmark::State& state, const std::string& path) {
  const std::string text = read_file(path).take();
  const std::vector<std::string> pieces = documents(text);
  Tokenizer::Scratch scratch;
  std::vector<int32_t> ids;
  for (auto run : state) {
    ids.clear();
    for (const std::string& piece : pieces) tokenizer().encode(piece, scratch, ids);
  }
  state.SetBytesProcessed(state.iterations() * static_cast<int64_t>(text.size()));
  state.counters["bytes_per_token"] =
      static_cast<double>(text.size()) / static_cast<double>(ids.size());
}

void decode(benchmark::State& state, const std::string& path) {
  const std::string text = read_file(path).take();
  const std::vector<int32_t> ids = tokenizer().encode(text);
  for (auto run : state) benchmark::DoNotOptimize(tokenizer().decode(ids).size());
  state.SetBytesProcessed(state.iterations() * static_cast<int64_t>(text.size()));
}

const bool registered = [] {
  benchmark::RegisterBenchmark("load", load)->Unit(benchmark::kMillisecond);
  for (const std::string& path : paths()) {
    const std::string name = fs::path(path).stem().string();
    benchmark::RegisterBenchmark(("encode/" + name).c_str(), [path](benchmark::State& state) {
      encode(state, path);
    })->Unit(benchmark::kMillisecond);
    benchmark::RegisterBenchmark(("decode/" + name).c_str(), [path](benchmark::State& state) {
      decode(state, path);
    })->Unit(benchmark::kMillisecond);
  }
  return true;
}();

}  // namespace
}  // namespace lmms::text
