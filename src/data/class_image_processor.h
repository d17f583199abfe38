#pragma once
/// Images with classes, or their cached latents, as samples of a denoiser (data/latents.h).
#include <map>
#include <optional>
#include <string>

#include "data/processor.h"
#include "media/image.h"

namespace lmms::data {

struct ClassImageOptions {
  /// What the denoiser takes: planes [channels, height, width] in patches.
  int64_t channels = 4, height = 32, width = 32, patch = 2;
  int64_t classes = 1000;  ///< labels are below; 0: labels are not read
  /// Pixels of a latent's side, where an autoencoder encodes images in the step; 0: the denoiser
  /// takes pixels themselves, of 3 colours or (channels 1) grey.
  int64_t stride = 0;
  /// Why images cannot be taken, cached latents alone: an autoencoder that is not there.
  std::optional<Fault> no_images{};
  bool flip = true;  ///< mirrored, one time in two
  bool apply_exif = true;
  bool measure_pixels = false;  ///< decode while measuring
  std::string image_column = "image", label_column = "label";
  std::map<std::string, int64_t> class_names{};  ///< labels may be texts among these

  int64_t tokens() const { return (height / patch) * (width / patch); }
  /// Pixels of a side of the crop.
  int64_t image_size() const { return height * (stride > 0 ? stride : 1); }
};

class ClassImageProcessor final : public Processor {
 public:
  explicit ClassImageProcessor(ClassImageOptions options) : options_(std::move(options)) {}

  Result<Measured> measure(const Record& record) const override;
  Result<Sample> process(const Record& record) const override;
  /// A fault: there are no texts.
  Result<Sample> prompt(const Conversation& conversation) const override;
  std::vector<MediumView> view_media(const Record& record, Pixels pixels) const override;
  const ClassImageOptions& options() const { return options_; }

  /// The crop that the sample is made of. A fault for a record of latents.
  Result<media::Image> crop(const Record& record) const;

 private:
  /// A sample without values.
  Result<Sample> lay_out(const Record& record) const;
  Result<int64_t> class_of(const Record& record) const;
  std::optional<Fault> fill_from_latent(const Record& record, Sample& sample) const;
  std::optional<Fault> fill_from_image(const Record& record, Sample& sample) const;

  ClassImageOptions options_;
};

/// Planes [channels, height, width] in [-1, 1] of an image; channels: 3, or 1: its luminance as
/// Pillow's convert("L") has it.
std::vector<float> pixel_planes(const media::Image& image, int64_t channels);

}  // namespace lmms::data
