#pragma once
/// Images and videos as LLaVA-OneVision takes them: square views of one size, cut into flat
/// patches.
#include "data/file_media.h"
#include "media/image.h"
#include "media/video_sampling.h"
#include "models/llava_onevision/tiles.h"

namespace lmms::models::llava_onevision {

/// The tokens that stand for a feature of an image and of a video.
inline constexpr const char *kImageToken = "<image>", *kVideoToken = "<video>";

struct LlavaMediaOptions {
  TileOptions tiles;   ///< of images, with a `patch`
  TileOptions frames;  ///< of videos: the same sizes, colours of their own
  media::DecodeOptions decode;
  media::SamplingOptions sampling;
  int32_t image_token_id = 151646, video_token_id = 151647;
  /// Every image is cut into tiles, not only one that is alone in its sample: `compat: [tiles]`.
  bool tiles_in_company = false;
};

class LlavaMedia final : public data::FileMedia {
 public:
  explicit LlavaMedia(LlavaMediaOptions options)
      : FileMedia(options.decode, options.sampling), options_(std::move(options)) {}

  int64_t patch_values() const override;
  std::vector<data::TowerView> tower_views(const data::Medium& medium,
                                           std::span<const float> values) const override;
  bool is_pad(int32_t id) const override;
  /// Empty: positions count on.
  std::vector<int32_t> positions(std::span<const int32_t> ids, std::span<const data::Medium> media,
                                 const std::string& where) const override;

 private:
  std::optional<Fault> lay_out_image(data::Medium& medium,
                                     const data::MediaContext& context) const override;
  std::optional<Fault> lay_out_video(data::Medium& medium, const media::VideoInfo& info,
                                     const nlohmann::json& options) const override;
  std::optional<Fault> write_image(const data::Medium& medium, const media::Image& image,
                                   std::span<float> out) const override;
  void write_frame(const data::Medium& medium, size_t position, const media::Image& frame,
                   std::span<float> out) const override;

  LlavaMediaOptions options_;
};

}  // namespace lmms::models::llava_onevision
