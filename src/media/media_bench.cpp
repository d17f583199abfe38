/// Images and frames a second on one core, from the bytes of a file to the patches of a tower.
///
///     LMMS_BENCH_IMAGES=folder LMMS_BENCH_VIDEOS=folder media_bench
///
/// name folders of JPEGs and of MP4s; without them the small stored files are taken. bench/media.py
/// makes such folders and measures what Python does beside it.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>

#include "core/files.h"
#include "media/clips_testing.h"
#include "media/patches.h"
#include "media/resize_float.h"
#include "media/video.h"
#include "media/video_patches.h"
#include "media/video_sampling.h"

namespace lmms::media {
namespace {

namespace fs = std::filesystem;

std::span<const std::byte> bytes(const std::string& text) {
  return std::as_bytes(std::span(text));
}

std::vector<std::string> read_all(const char* variable, const char* stored, const char* suffix) {
  const char* given = std::getenv(variable);
  const fs::path folder = given ? fs::path(given) : fs::path(LMMS_SOURCE_DIR) / stored;
  std::vector<fs::path> paths;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder))
    if (entry.path().extension() == suffix) paths.push_back(entry.path());
  std::sort(paths.begin(), paths.end());
  std::vector<std::string> all;
  for (const fs::path& path : paths) all.push_back(read_file(path).take());
  return all;
}

const std::vector<std::string>& files() {
  static const std::vector<std::string> read = [] {
    std::vector<std::string> all =
        read_all("LMMS_BENCH_IMAGES", "tests/parity/data/images", ".jpg");
    std::erase_if(all, [](const std::string& text) { return !decode(bytes(text)).ok(); });
    return all;
  }();
  return read;
}

const std::vector<std::string>& films() {
  static const std::vector<std::string> read =
      read_all("LMMS_BENCH_VIDEOS", "tests/parity/data/videos", ".mp4");
  return read;
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

/// Frames of films, at one a second.
template <class Work>
void over_films(benchmark::State& state, Work work) {
  size_t next = 0;
  int64_t frames = 0;
  for (auto run : state) frames += work(films()[next++ % films().size()]);
  state.counters["frames"] = benchmark::Counter(double(frames), benchmark::Counter::kIsRate);
}

void opening_film(benchmark::State& state) {
  over_films(state, [](const std::string& film) { return probe_video(bytes(film)).take().frames; });
}

void decoding_film(benchmark::State& state) {
  over_films(state, [](const std::string& film) {
    Video video = Video::open(bytes(film)).take();
    const FrameChoice choice = choose_frames(video.info(), {}).take();
    if (std::optional<Fault> fault = video.decode(choice.indices, [](size_t, const Image& frame) {
          benchmark::DoNotOptimize(frame.row(0));
        }))
      throw Error(*fault);
    return int64_t(choice.indices.size());
  });
}

int64_t film_to_patches(const std::string& film, const ClipOptions& options,
                        std::vector<float>& values) {
  Video video = Video::open(bytes(film)).take();
  const FrameChoice choice = choose_frames(video.info(), {}).take();
  const ClipPlan plan =
      plan_clip({video.info().height, video.info().width}, int64_t(choice.indices.size()), options)
          .take();
  const auto count = size_t(plan.grid.patches() * patch_values(options.patches));
  if (values.size() < count) values.resize(count);
  if (std::optional<Fault> fault = video.decode(choice.indices, [&](size_t at, Image frame) {
        write_clip_frame(frame, int64_t(at), plan, options, std::span(values).first(count));
      }))
    throw Error(*fault);
  benchmark::DoNotOptimize(values.data());
  return int64_t(choice.indices.size());
}

/// As the Python project has it: qwen_vl_utils' resize, then the processor.
void film_by_loader(benchmark::State& state) {
  ClipOptions options = testing::qwen2_vl_clip();
  options.loader = FrameLimits{};
  static std::vector<float> values;
  over_films(state,
             [&](const std::string& film) { return film_to_patches(film, options, values); });
}

/// As Hugging Face's processor has it by itself.
void film_by_processor(benchmark::State& state) {
  const ClipOptions options = testing::qwen2_vl_clip();
  static std::vector<float> values;
  over_films(state,
             [&](const std::string& film) { return film_to_patches(film, options, values); });
}

/// Frames that are decoded already.
const std::vector<Image>& frames_of_films() {
  static const std::vector<Image> decoded = [] {
    std::vector<Image> all;
    for (const std::string& film : films())
      for (Image& frame : decode_frames(bytes(film), std::vector<int64_t>{0}).take())
        all.push_back(std::move(frame));
    return all;
  }();
  return decoded;
}

void resizing_frame(benchmark::State& state) {
  size_t next = 0;
  for (auto run : state) {
    const Image& frame = frames_of_films()[next++ % films().size()];
    const Extent to = loader_extent(extent(frame), 20, 28, {}).take();
    benchmark::DoNotOptimize(resize_rounded(frame, to.width, to.height).row(0));
  }
}

BENCHMARK(probing);
BENCHMARK(decoding)->Unit(benchmark::kMillisecond);
BENCHMARK(resizing)->Unit(benchmark::kMillisecond);
BENCHMARK(patching)->Name("resizing_and_patching")->Unit(benchmark::kMillisecond);
BENCHMARK(whole)->Name("file_to_patches")->Unit(benchmark::kMillisecond);
BENCHMARK(opening_film)->Name("video_opening")->Unit(benchmark::kMillisecond);
BENCHMARK(decoding_film)->Name("video_decoding")->Unit(benchmark::kMillisecond);
BENCHMARK(film_by_loader)->Name("video_by_loader")->Unit(benchmark::kMillisecond);
BENCHMARK(film_by_processor)->Name("video_by_processor")->Unit(benchmark::kMillisecond);
BENCHMARK(resizing_frame)->Name("video_frame_resizing")->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace lmms::media
