#pragma once
/// Bytes of an image file -> pixels, equal to `PIL.Image.open(f)`, `ImageOps.exif_transpose`,
/// `convert("RGB")`: what Hugging Face's load_image hands to an image processor.
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

#include "core/error.h"

namespace lmms::media {

/// 8-bit RGB, rows from top to bottom without gaps: pixels()[(y * width + x) * 3 + channel].
class Image {
 public:
  /// Bytes after the last pixel that may be read (never used): vector code loads past the end.
  static constexpr size_t kSlack = 64;

  Image() = default;
  /// Both sizes are positive; the pixels are not initialised.
  Image(int width, int height);
  int width() const { return width_; }
  int height() const { return height_; }
  uint8_t* row(int y) { return data_.get() + size_t(y) * width_ * 3; }
  const uint8_t* row(int y) const { return data_.get() + size_t(y) * width_ * 3; }
  std::span<uint8_t> pixels() { return {data_.get(), size_t(width_) * height_ * 3}; }
  std::span<const uint8_t> pixels() const { return {data_.get(), size_t(width_) * height_ * 3}; }

 private:
  /// Gives memory back to this thread's next images: fresh pages from the system cost as much as a
  /// resize.
  struct Recycle {
    Recycle() noexcept : bytes(0) {}
    explicit Recycle(size_t count) noexcept : bytes(count) {}
    size_t bytes;
    void operator()(uint8_t* data) const noexcept;
  };

  int width_ = 0, height_ = 0;
  std::unique_ptr<uint8_t[], Recycle> data_;
};

enum class Format { jpeg, png, webp, gif, bmp };
/// "JPEG", "PNG", ...
std::string_view name_of(Format format);

/// What the header says, without decoding.
struct ImageInfo {
  Format format = Format::jpeg;
  int width = 0, height = 0;  ///< as stored, before the orientation is applied
  int orientation = 1;  ///< EXIF's 1..8, from EXIF or else XMP; 5..8 exchange width and height

  bool turned() const { return orientation >= 5; }
};

struct DecodeOptions {
  /// Turn the pixels as EXIF says. The Python project does not: `compat: [exif]`.
  bool apply_exif = true;
  /// More pixels than this are refused before memory is taken: twice PIL.Image.MAX_IMAGE_PIXELS.
  int64_t max_pixels = 178'956'970;
};

/// Format, size and orientation. The content decides, never a file name. Faults (with an empty
/// `where`) for what is no image, another format, or a header that is cut off or impossible.
Result<ImageInfo> probe(std::span<const std::byte> bytes);

/// The pixels: the first frame of an animation, alpha dropped, palettes and CMYK resolved, 16 bits
/// brought to 8. Any bytes are safe; a file that ends early or contradicts itself is a fault.
Result<Image> decode(std::span<const std::byte> bytes, const DecodeOptions& options = {});

/// The image turned as an EXIF orientation (1..8) demands; 1 gives it back.
Image turn(Image image, int orientation);

}  // namespace lmms::media
