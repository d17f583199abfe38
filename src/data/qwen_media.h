#pragma once
/// Images and videos as Qwen2.5-VL and Qwen3-VL take them: flat patches of any grid, positions on
/// three axes.
#include "data/media_format.h"
#include "data/rope_index.h"
#include "media/image.h"
#include "media/patches.h"
#include "media/video_patches.h"
#include "media/video_sampling.h"

namespace lmms::data {

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

/// A video part may say which part of the film it is (`video_start`, `video_end`, in seconds) and
/// the limits of its frames (`min_pixels`, `max_pixels`); its other options are passed over.
class QwenMedia final : public MediaFormat {
 public:
  explicit QwenMedia(QwenMediaOptions options) : options_(std::move(options)) {}

  Result<Medium> open(const Part& part, const MediaContext& context) const override;
  int64_t patch_values() const override;
  std::optional<Fault> write(const Medium& medium, std::span<float> out) const override;
  std::optional<Fault> check_pixels(const Medium& medium) const override;
  std::vector<Sight> sights(const Medium& medium, std::span<const float> values) const override;
  bool is_pad(int32_t id) const override;
  std::vector<int32_t> positions(std::span<const int32_t> ids, std::span<const Medium> media,
                                 const std::string& where) const override;

 private:
  Result<Medium> open_image(Medium medium) const;
  Result<Medium> open_video(Medium medium, const nlohmann::json& options) const;
  media::VideoOptions video_options() const;

  QwenMediaOptions options_;
};

}  // namespace lmms::data
