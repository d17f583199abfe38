// Reading, packing and loading on this machine. Rates are of bytes of the file, or of tokens.
#include <benchmark/benchmark.h>

#include <filesystem>
#include <fstream>
#include <random>

#include "core/files.h"
#include "data/chat_processor.h"
#include "data/line_index.h"
#include "data/loader.h"
#include "data/packer.h"

namespace lmms::data {
namespace {

/// A file of about `bytes`, in the temporary folder, removed at the end.
class MadeFile {
 public:
  MadeFile(const std::string& name, const std::string& open, const std::string& row,
           const std::string& between, const std::string& close, size_t bytes)
      : path_((std::filesystem::temp_directory_path() / name).string()) {
    std::ofstream out(path_, std::ios::binary);
    out << open;
    for (size_t size = 0; size < bytes; size += row.size()) out << (size ? between : "") << row;
    out << close;
  }
  ~MadeFile() { std::filesystem::remove(path_); }
  const std::string& path() const { return path_; }
  int64_t bytes() const { return static_cast<int64_t>(std::filesystem::file_size(path_)); }

 private:
  std::string path_;
};

constexpr size_t kBytes = size_t{64} << 20;

const std::string& chat_row() {
  static const std::string row = [] {
    std::string text;
    for (int i = 0; i < 60; ++i) text += "The quick brown fox, he said, jumps over the lazy dog. ";
    return R"({"id": "1", "messages": [{"role": "user", "content": ")" + text +
           R"("}, {"role": "assistant", "content": ")" + text + "\"}]}";
  }();
  return row;
}

void open_file(benchmark::State& state, const MadeFile& file, Format format) {
  for (auto _ : state) benchmark::DoNotOptimize(open_source(file.path(), format).take());
  state.SetBytesProcessed(state.iterations() * file.bytes());
}

void open_jsonl(benchmark::State& state) {
  open_file(state, MadeFile("lmms_bench.jsonl", "", chat_row(), "\n", "\n", kBytes), Format::jsonl);
}
BENCHMARK(open_jsonl)->Unit(benchmark::kMillisecond);

void open_json(benchmark::State& state) {
  open_file(state, MadeFile("lmms_bench.json", "[", chat_row(), ", ", "]", kBytes), Format::json);
}
BENCHMARK(open_json)->Unit(benchmark::kMillisecond);

void open_csv(benchmark::State& state) {
  const std::string cell(1500, 'x');
  open_file(state,
            MadeFile("lmms_bench.csv", "prompt,response\n", "\"" + cell + "\"," + cell, "\n", "\n",
                     kBytes),
            Format::csv);
}
BENCHMARK(open_csv)->Unit(benchmark::kMillisecond);

void read_jsonl(benchmark::State& state) {
  const MadeFile file("lmms_bench.jsonl", "", chat_row(), "\n", "\n", kBytes);
  const auto source = open_source(file.path(), Format::jsonl).take();
  int64_t row = 0;
  for (auto _ : state) {
    benchmark::DoNotOptimize(source->read(row).take());
    row = (row + 7919) % source->size();
  }
  state.SetBytesProcessed(state.iterations() * static_cast<int64_t>(chat_row().size()));
}
BENCHMARK(read_jsonl)->Unit(benchmark::kMicrosecond);

void pack(benchmark::State& state) {
  std::mt19937 random(9);
  std::lognormal_distribution<double> length(6.0, 1.0);
  Packer packer({.strategy = static_cast<PackingStrategy>(state.range(0)),
                 .length = 32768,
                 .num_open_bins = 8});
  int64_t ordinal = 0;
  for (auto _ : state) {
    const auto n = std::clamp<int64_t>(static_cast<int64_t>(length(random)), 1, 8192);
    benchmark::DoNotOptimize(
        packer.add({.ordinal = ordinal++, .length = n, .supervised = n, .cost = n * n}));
  }
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(pack)->ArgName("strategy")->DenseRange(0, 3);

/// The whole way from file to packed batches, on the quickstart's chats; range(0): threads.
void load(benchmark::State& state) {
  const std::string folder = std::string(LMMS_SOURCE_DIR) + "/examples/chat_tiny/";
  SourceConfig source;
  source.path = folder + "train.jsonl";
  DatasetOptions from;
  from.sources = {source};
  const std::shared_ptr<const Dataset> data = Dataset::open(from).take();
  const auto processor = std::make_shared<const ChatProcessor>(
      text::ChatTemplate::create(text::Tokenizer::load(folder + "tokenizer").take()).take());
  LoaderOptions options;
  options.packing = PackingOptions{};
  options.packing->length = 16384;
  options.max_steps = 1000000;
  options.threads = static_cast<int>(state.range(0));
  Loader loader(data, processor, options);
  int64_t tokens = 0;
  for (auto _ : state) tokens += loader.next()->tokens;
  state.SetItemsProcessed(tokens);
}
BENCHMARK(load)->ArgName("threads")->Arg(1)->Arg(2)->UseRealTime()->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace lmms::data
