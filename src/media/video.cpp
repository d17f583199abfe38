#include "media/video.h"

#include <dlfcn.h>

#include <algorithm>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "core/format.h"
#include "media/container.h"
#include "media/video_module.h"

namespace lmms::media {
namespace {

namespace fs = std::filesystem;

constexpr const char* kLibrary = "liblmms_video.so";

// The module lies beside liblmms.so (or the test program that holds this code), or in the folder
// above: bin/cuda/ and lib/lmms/cuda/ share one with the CPU's.
std::vector<fs::path> folders_of_module() {
  std::vector<fs::path> folders;
  const auto add = [&](const fs::path& file) {
    if (file.has_parent_path())
      folders.insert(folders.end(), {file.parent_path(), file.parent_path() / ".."});
  };
  Dl_info library{};
  if (dladdr(reinterpret_cast<const void*>(&folders_of_module), &library) != 0)
    add(library.dli_fname);
  std::error_code error;
  add(fs::read_symlink("/proc/self/exe", error));
  return folders;
}

const LmmsVideoApi& api() {
  static const LmmsVideoApi* const loaded = [] {
    std::error_code error;
    std::string seen;
    for (const fs::path& folder : folders_of_module()) {
      const fs::path path = folder / kLibrary;
      if (!fs::exists(path, error)) continue;
      void* library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
      if (!library) {
        seen = dlerror();
        continue;
      }
      const auto entry =
          reinterpret_cast<decltype(&lmms_video_api)>(dlsym(library, "lmms_video_api"));
      const LmmsVideoApi* found = entry ? entry() : nullptr;
      if (found && found->version == kLmmsVideoVersion) return found;
      seen = fmt::format("{} is of another build", path.string());
    }
    if (seen.empty())
      throw Error("video", fmt::format("{} is not beside liblmms.so", kLibrary),
                  "build the target lmms_video, or copy the library there", Exit::failed);
    throw Error("video", fmt::format("FFmpeg cannot be loaded: {}", seen),
                "install FFmpeg's libraries in the version that is named there (Debian 12 and its "
                "like: apt-get install libavformat59 libswscale6; Ubuntu 24.04: libavformat60 "
                "libswscale7), or build the program on this machine",
                Exit::failed);
  }();
  return *loaded;
}

Fault bad_video(std::string what) {
  return {"", fmt::format("video: {}", what),
          "replace the file, or let dataset_config.on_bad_sample pass over such samples"};
}

/// What people put where a video should be, as far as it is no container.
std::optional<Fault> no_container(Bytes bytes) {
  const Reader file(bytes);
  std::string_view found;
  const std::string_view front = file.view(0, 256);
  const size_t word = front.find_first_not_of(" \t\r\n");
  if (bytes.empty())
    found = "an empty file";
  else if (file.starts(0, "version https://git-lfs"))
    found = "a Git LFS pointer, not the file it stands for";
  else if (word != front.npos && front[word] == '<')
    found = "an HTML or XML text";
  else if (word != front.npos && front[word] == '{')
    found = "a JSON text";
  else if (std::all_of(front.begin(), front.end(), [](char c) { return c == 0; }))
    found = "bytes that are all zero";
  else if (const Result<ImageInfo> image = probe(bytes); image.ok() && image->format != Format::gif)
    return Fault{"", fmt::format("expected a video, found a {} image", name_of(image->format)),
                 "name it as an image"};
  else
    return std::nullopt;
  return Fault{"",
               fmt::format("expected a video (MP4, WebM, Matroska, AVI or GIF), found {}", found),
               "correct the path, or replace the file"};
}

struct Message {
  char text[512] = {};
  LmmsVideoMessage room() { return {text, sizeof text}; }
};

LmmsVideo* opened(void* video) {
  return static_cast<LmmsVideo*>(video);
}

}  // namespace

void Video::Close::operator()(void* video) const noexcept {
  api().close(opened(video));
}

Result<Video> Video::open(Bytes bytes, const VideoOptions& options) {
  if (std::optional<Fault> fault = no_container(bytes)) return *std::move(fault);
  if (ends_early(bytes))
    return bad_video(fmt::format("the file ends within it, after {} bytes", bytes.size()));
  Message message;
  LmmsVideoInfo found{};
  Video video;
  video.video_.reset(api().open(reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size(),
                                options.max_pixels, &found, message.room()));
  if (!video.video_) return bad_video(message.text);
  video.orientation_ = options.apply_rotation ? found.orientation : 1;
  video.info_ = {found.width, found.height, found.frames, found.fps, found.seconds};
  if (video.orientation_ >= 5) std::swap(video.info_.width, video.info_.height);
  return video;
}

std::optional<Fault> Video::decode(std::span<const int64_t> indices, const FrameSink& sink) {
  std::vector<std::pair<int64_t, size_t>> asked;  // index, position
  for (size_t i = 0; i < indices.size(); ++i) {
    if (indices[i] < 0 || indices[i] >= info_.frames)
      throw Error("", fmt::format("Video::decode: frame {} of {}", indices[i], info_.frames), "",
                  Exit::failed);
    asked.emplace_back(indices[i], i);
  }
  std::sort(asked.begin(), asked.end());
  std::vector<int64_t> once;
  for (const auto& [index, position] : asked)
    if (once.empty() || once.back() != index) once.push_back(index);

  struct Taker {
    const std::vector<std::pair<int64_t, size_t>>& asked;
    const FrameSink& sink;
    int orientation;
    Image frame{};
    std::exception_ptr thrown{};  // never through FFmpeg's frames

    static uint8_t* place(void* self, int64_t, int32_t width, int32_t height) {
      auto& taker = *static_cast<Taker*>(self);
      if (taker.thrown) return nullptr;
      taker.frame = Image(width, height);
      return taker.frame.row(0);
    }
    static void done(void* self, int64_t index) {
      auto& taker = *static_cast<Taker*>(self);
      try {
        taker.give(index);
      } catch (...) {
        taker.thrown = std::current_exception();
      }
    }
    void give(int64_t index) {
      frame = turn(std::move(frame), orientation);
      auto at = std::lower_bound(asked.begin(), asked.end(), std::pair{index, size_t{0}});
      for (; at != asked.end() && at->first == index; ++at) {
        const bool asked_once_more = at + 1 != asked.end() && (at + 1)->first == index;
        if (!asked_once_more) {
          sink(at->second, std::move(frame));
          return;
        }
        Image copy(frame.width(), frame.height());
        std::copy(frame.pixels().begin(), frame.pixels().end(), copy.pixels().begin());
        sink(at->second, std::move(copy));
      }
    }
  } taker{asked, sink, orientation_};

  Message message;
  const int32_t failed = api().decode(opened(video_.get()), once.data(), once.size(),
                                      {&taker, Taker::place, Taker::done}, message.room());
  if (taker.thrown) std::rethrow_exception(taker.thrown);
  if (failed) return bad_video(message.text);
  return std::nullopt;
}

Result<VideoInfo> probe_video(Bytes bytes, const VideoOptions& options) {
  const Result<Video> video = Video::open(bytes, options);
  if (!video) return video.fault();
  return video->info();
}

Result<std::vector<Image>> decode_frames(Bytes bytes, std::span<const int64_t> indices,
                                         const VideoOptions& options) {
  Result<Video> video = Video::open(bytes, options);
  if (!video) return video.fault();
  std::vector<Image> frames(indices.size());
  std::optional<Fault> fault = video->decode(
      indices, [&](size_t position, Image frame) { frames[position] = std::move(frame); });
  if (fault) return *std::move(fault);
  return frames;
}

}  // namespace lmms::media
