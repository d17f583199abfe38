#pragma once
/// What the formats of all families share: opening files, decoding them, naming what is wrong.
#include "data/media_format.h"
#include "media/image.h"
#include "media/video.h"
#include "media/video_sampling.h"

namespace lmms::data {

/// A format that says how an image or a chosen frame is laid out; this class reads and decodes. A
/// video part may say which part of the film it is: `video_start` and `video_end`, in seconds.
class FileMedia : public MediaFormat {
 public:
  Result<Medium> open(const Part& part, const MediaContext& context) const final;
  std::optional<Fault> write(const Medium& medium, std::span<float> out) const final;
  std::optional<Fault> check_pixels(const Medium& medium) const final;

 protected:
  FileMedia(const media::DecodeOptions& decode, const media::SamplingOptions& sampling)
      : decode_(decode), sampling_(sampling) {}

  /// Sets grid, layout and pads of an image of `medium.size`. A fault needs no `where`.
  virtual std::optional<Fault> lay_out_image(Medium& medium, const MediaContext& context) const = 0;
  /// The same for the chosen frames of a film; `options`: of the part.
  virtual std::optional<Fault> lay_out_video(Medium& medium, const media::VideoInfo& info,
                                             const nlohmann::json& options) const = 0;
  virtual std::optional<Fault> write_image(const Medium& medium, const media::Image& image,
                                           std::span<float> out) const = 0;
  /// One of the chosen frames; `out` is the whole film's.
  virtual void write_frame(const Medium& medium, size_t position, const media::Image& frame,
                           std::span<float> out) const = 0;

  /// A number among a part's options: absent, or a fault if it is none.
  static Result<std::optional<double>> number_of(const nlohmann::json& options, const char* key);

 private:
  std::optional<Fault> open_image(Medium& medium, const MediaContext& context) const;
  std::optional<Fault> open_video(Medium& medium, const nlohmann::json& options) const;
  /// Decodes an image, or the chosen frames of a video, and hands them on.
  std::optional<Fault> each_picture(const Medium& medium,
                                    const std::function<std::optional<Fault>(media::Image)>& image,
                                    const media::FrameSink& frame) const;
  media::VideoOptions video_options() const;

  media::DecodeOptions decode_;
  media::SamplingOptions sampling_;
};

}  // namespace lmms::data
