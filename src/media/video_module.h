#pragma once
/// The border between the program and liblmms_video.so, which alone knows FFmpeg: plain C types, so
/// that the library can be opened when the first video comes and be absent where there is none.
#include <cstddef>
#include <cstdint>

extern "C" {

/// Counts up with every change of what stands here.
enum { kLmmsVideoVersion = 1 };

struct LmmsVideo;

struct LmmsVideoInfo {
  int32_t width, height;  ///< as stored
  int32_t orientation;    ///< EXIF's 1..8: how to turn the frames
  int64_t frames;
  double fps, seconds;
};

/// Where the text of a fault goes, cut to its room and ended by a zero.
struct LmmsVideoMessage {
  char* text;
  size_t room;
};

/// Takes frames. `place` gives memory for width * height * 3 bytes of RGB without gaps, or null to
/// stop; `done` says that it is filled. `index` counts frames in the order in which they are shown.
struct LmmsVideoSink {
  void* self;
  uint8_t* (*place)(void* self, int64_t index, int32_t width, int32_t height);
  void (*done)(void* self, int64_t index);
};

struct LmmsVideoApi {
  int32_t version;
  /// Reads the container and counts frames. `bytes` must outlive the video. Null: see `message`.
  LmmsVideo* (*open)(const uint8_t* bytes, size_t size, int64_t max_pixels, LmmsVideoInfo* info,
                     LmmsVideoMessage message);
  /// Decodes the frames with these indices, which ascend strictly. 0, or see `message`.
  int32_t (*decode)(LmmsVideo* video, const int64_t* indices, size_t count, LmmsVideoSink sink,
                    LmmsVideoMessage message);
  void (*close)(LmmsVideo* video);
};

/// The one symbol of the library.
const LmmsVideoApi* lmms_video_api();
}
