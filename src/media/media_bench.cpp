/// Images a second on one core, from the bytes of a file to the patches of a tower.
///
///     LMMS_BENCH_IMAGES=folder media_bench          a folder of image files; else the small stored
///     ones
///
/// bench/media.py makes such a folder and measures Pillow and Hugging Face's processor beside it.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>

#include "core/files.h"
#include "media/patches.h"

namespace lmms::media {
namespace {

namespace fs = std::filesystem;

const std::vector<std::string>& files() {
  static const std::vector<std::string> read = [] {
    const char* given = std::getenv("LMMS_BENCH_IMAGES");
    const fs::path folder =
        given ? fs::path(given) : fs::path(LMMS_SOURCE_DIR) / "tests/parity/data/images";
    std::vector<fs::path> paths;
    for (const fs::directory_entry& entry : fs::directory_iterator(folder))
      if (entry.path().extension() == ".jpg") paths.push_back(entry.path());
    std::sort(paths.begin(), paths.end());
    std::vector<std::string> all;
    for (const fs::path& path : paths) {
      std::string text = read_file(path).take();
      if (decode(std::as_bytes(std::span(text))).ok()) all.push_back(std::move(text));
    }
    return all;
  }();
  return read;
}

std::span<const std::byte> bytes(const std::string& text) {
  return std::as_bytes(std::span(text));
}

/// Every image once: decoded, in memory.
const std::vector<Image>& images() {
  static const std::vector<Image> decoded = [] {
    std::vector<Image> all;
    for (const std::string& file : files())
      if (Result<Image> image = decode(bytes(file))) all.push_back(*std::move(image));
    return all;
  }();
  return decoded;
}

void count(benchmark::State& state, int64_t pixels) {
  state.counters["images"] =
      benchmark::Counter(double(state.iterations()), benchmark::Counter::kIsRate);
  state.counters["MP"] = benchmark::Counter(double(pixels) / 1e6, benchmark::Counter::kIsRate);
}

template <class Work>
void over_files(benchmark::State& state, Work work) {
  size_t next = 0;
  int64_t pixels = 0;
  for (auto run : state) pixels += work(next++ % files().size());
  count(state, pixels);
}

int64_t area(const Image& image) {
  return int64_t{image.width()} * image.height();
}

void probing(benchmark::State& state) {
  over_files(state, [](size_t i) {
    const ImageInfo info = probe(bytes(files()[i])).take();
    return int64_t{info.width} * info.height;
  });
}

void decoding(benchmark::State& state) {
  over_files(state, [](size_t i) {
    const Image image = decode(bytes(files()[i])).take();
    benchmark::DoNotOptimize(image.row(0));
    return area(image);
  });
}

Extent extent(const Image& image) {
  return {image.height(), image.width()};
}

void resizing(benchmark::State& state) {
  images();
  over_files(state, [](size_t i) {
    const Image& image = images()[i];
    const Extent to = smart_resize(extent(image), 28, 3136, 1003520).take();
    benchmark::DoNotOptimize(resize(image, to.width, to.height).row(0));
    return area(image);
  });
}

/// What a loader thread does: the buffer for the values is its own and used again.
void patches(const Image& image, const PatchOptions& options, std::vector<float>& values) {
  const PatchGrid grid = patch_grid(extent(image), options).take();
  const auto count = size_t(grid.patches() * patch_values(options));
  if (values.size() < count) values.resize(count);
  write_patches(image, grid, options, std::span(values).first(count));
  benchmark::DoNotOptimize(values.data());
}

void patching(benchmark::State& state) {
  images();
  std::vector<float> values;
  over_files(state, [&](size_t i) {
    patches(images()[i], {}, values);
    return area(images()[i]);
  });
}

void whole(benchmark::State& state) {
  std::vector<float> values;
  over_files(state, [&](size_t i) {
    const Image image = decode(bytes(files()[i])).take();
    patches(image, {}, values);
    return area(image);
  });
}

BENCHMARK(probing);
BENCHMARK(decoding)->Unit(benchmark::kMillisecond);
BENCHMARK(resizing)->Unit(benchmark::kMillisecond);
BENCHMARK(patching)->Name("resizing_and_patching")->Unit(benchmark::kMillisecond);
BENCHMARK(whole)->Name("file_to_patches")->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace lmms::media
