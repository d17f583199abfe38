#pragma once
/// Images and videos as LLaVA-OneVision takes them: square views of one size, cut into flat
/// patches.
#include "data/media_format.h"
#include "media/image.h"
#include "media/patches.h"
#include "media/video_sampling.h"

namespace lmms::data {

/// The tokens that stand for a feature of an image and of a video.
inline constexpr const char *kLlavaImage = "<image>", *kLlavaVideo = "<video>";

struct LlavaMediaOptions {
  media::TileOptions tiles;   ///< of images, with a `patch`
  media::TileOptions frames;  ///< of videos: the same sizes, colours of their own
  media::DecodeOptions decode;
  media::SamplingOptions sampling;
  int32_t image_token_id = 151646, video_token_id = 151647;
  /// Every image is cut into tiles, not only one that is alone in its sample: `compat: [tiles]`.
  bool tiles_in_company = false;
};

/// A video part may say which part of the film it is: `video_start`, `video_end`, in seconds.
class LlavaMedia final : public MediaFormat {
 public:
  explicit LlavaMedia(LlavaMediaOptions options) : options_(std::move(options)) {}

  Result<Medium> open(const Part& part, const MediaContext& context) const override;
  int64_t patch_values() const override;
  std::optional<Fault> write(const Medium& medium, std::span<float> out) const override;
  std::optional<Fault> check_pixels(const Medium& medium) const override;
  bool is_pad(int32_t id) const override;
  /// Empty: positions count on.
  std::vector<int32_t> positions(std::span<const int32_t> ids, std::span<const Medium> media,
                                 const std::string& where) const override;

 private:
  Result<Medium> open_image(Medium medium, const MediaContext& context) const;
  Result<Medium> open_video(Medium medium, const nlohmann::json& options) const;
  media::VideoOptions video_options() const;

  LlavaMediaOptions options_;
};

}  // namespace lmms::data
