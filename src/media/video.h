#pragma once
/// Bytes of a video file -> what it is, and the frames that are asked for. MP4, MOV, WebM,
/// Matroska, AVI and animated GIF, whatever this machine's FFmpeg decodes. FFmpeg stands in
/// liblmms_video.so beside liblmms.so, opened by the first call here: without it everything but
/// video works.
///
/// A frame's index is its place in the order in which frames are shown, counted from 0 over all
/// frames of the file, however they are spaced in time. Pixels are 8-bit RGB by the colour matrix
/// that the stream names, converted by libswscale: what torchcodec gives. Pixels count as square.
#include <functional>
#include <optional>
#include <span>
#include <vector>

#include "core/error.h"
#include "media/image.h"

namespace lmms::media {

struct VideoInfo {
  int width = 0, height = 0;  ///< as shown: after the turn that the file asks for
  int64_t frames = 0;         ///< exact: counted, not read from a header
  double fps = 0;             ///< frames / seconds; an average where frames are not evenly spaced
  double seconds = 0;         ///< from the start of the first frame to the end of the last
};

struct VideoOptions {
  /// Turn frames as the file's display matrix says (phones store films on their side), as
  /// torchcodec and players do. PyAV and decord give them as stored.
  bool apply_rotation = true;
  /// Frames of more pixels are refused before memory is taken.
  int64_t max_pixels = 178'956'970;
};

/// Takes the frame asked for at `position` in the list of indices.
using FrameSink = std::function<void(size_t position, Image frame)>;

/// A video that was opened: read once, asked twice. `bytes` must outlive it. Not for two threads at
/// once.
class Video {
 public:
  /// A fault (with an empty `where`) for what is no video, a file that ends early, or one without
  /// frames. Throws Error if FFmpeg's libraries are missing on this machine.
  static Result<Video> open(std::span<const std::byte> bytes, const VideoOptions& options = {});

  const VideoInfo& info() const { return info_; }

  /// Decodes the frames with these indices and hands each to `sink` as often as it is listed, in
  /// the order of the film. Starts at key frames where that is shorter, with the same pixels. A
  /// fault for a frame that cannot be decoded; frames before it have been handed over.
  std::optional<Fault> decode(std::span<const int64_t> indices, const FrameSink& sink);

 private:
  struct Close {
    void operator()(void* video) const noexcept;
  };
  std::unique_ptr<void, Close> video_;
  VideoInfo info_;
  int orientation_ = 1;
};

/// What a file says, without decoding: Video::open for one question.
Result<VideoInfo> probe_video(std::span<const std::byte> bytes, const VideoOptions& options = {});

/// The frames with these indices, in this order: Video::open and decode for few frames. Prefer a
/// sink that makes frames small at once: 768 frames of 1080p take 4.8 GB.
Result<std::vector<Image>> decode_frames(std::span<const std::byte> bytes,
                                         std::span<const int64_t> indices,
                                         const VideoOptions& options = {});

}  // namespace lmms::media
