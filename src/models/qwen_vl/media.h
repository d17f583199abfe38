#pragma once
/// Images and videos as Qwen2.5-VL and Qwen3-VL take them: flat patches of any grid, positions on
/// three axes.
#include "data/file_media.h"
#include "media/image.h"
#include "media/patches.h"
#include "media/video_patches.h"
#include "media/video_sampling.h"
#include "models/qwen_vl/rope_index.h"

namespace lmms::models::qwen_vl {

/// The tokens that stand for a feature of an image and of a video.
inline constexpr const char *kImagePad = "<|image_pad|>", *kVideoPad = "<|video_pad|>";

struct QwenMediaOptions {
  media::PatchOptions patches;
  media::DecodeOptions decode;
  media::SamplingOptions sampling;
  media::ClipOptions clip;
  /// `frames_apart` also puts the time of every frame into the text: "<0.5 seconds>".
  RopeIndexConfig positions;
};

/// A video part may also say the limits of its frames (`min_pixels`, `max_pixels`); other options
/// than these are passed over.
class QwenMedia final : public data::FileMedia {
 public:
  explicit QwenMedia(QwenMediaOptions options)
      : FileMedia(options.decode, options.sampling), options_(std::move(options)) {}

  int64_t patch_values() const override;
  std::vector<data::TowerView> tower_views(const data::Medium& medium,
                                           std::span<const float> values) const override;
  bool is_pad(int32_t id) const override;
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

  QwenMediaOptions options_;
};

}  // namespace lmms::models::qwen_vl
