#pragma once
/// The formats, one file each. For image.cpp alone; users take image.h.
#include <algorithm>
#include <optional>
#include <string>

#include "media/image.h"

namespace lmms::media {

using Bytes = std::span<const std::byte>;

struct Size {
  int width = 0, height = 0;
};

/// Numbers of a file, read with bounds: past the end they are 0 and `short_of(...)` tells.
class Reader {
 public:
  explicit Reader(Bytes bytes) : bytes_(bytes) {}
  size_t size() const { return bytes_.size(); }
  bool has(size_t at, size_t count) const { return at <= size() && count <= size() - at; }
  uint32_t u8(size_t at) const { return has(at, 1) ? uint32_t(bytes_[at]) : 0; }
  uint32_t le16(size_t at) const { return u8(at) | u8(at + 1) << 8; }
  uint32_t le24(size_t at) const { return le16(at) | u8(at + 2) << 16; }
  uint32_t le32(size_t at) const { return le16(at) | le16(at + 2) << 16; }
  uint32_t be16(size_t at) const { return u8(at) << 8 | u8(at + 1); }
  uint32_t be32(size_t at) const { return be16(at) << 16 | be16(at + 2); }
  bool starts(size_t at, std::string_view text) const {
    return has(at, text.size()) && view(at, text.size()) == text;
  }
  /// The bytes [at, at + count), cut at the end of the file.
  std::string_view view(size_t at, size_t count) const {
    if (at >= size()) return {};
    return {reinterpret_cast<const char*>(bytes_.data()) + at, std::min(count, size() - at)};
  }

 private:
  Bytes bytes_;
};

/// Where a file keeps what may hold its orientation.
struct Metadata {
  std::string exif;  ///< a TIFF structure, perhaps after "Exif\0\0"; empty if there is none
  std::string xmp;
};
/// EXIF's orientation, else XMP's, else 1.
int orientation_of(const Metadata& metadata);

/// Sizes from the header; a fault where the header ends early or cannot be.
Result<Size> jpeg_size(Bytes bytes);
Result<Size> png_size(Bytes bytes);
Result<Size> webp_size(Bytes bytes);
Result<Size> gif_size(Bytes bytes);
Result<Size> bmp_size(Bytes bytes);
Metadata jpeg_metadata(Bytes bytes);
Metadata png_metadata(Bytes bytes);
Metadata webp_metadata(Bytes bytes);

/// The pixels as stored; `size` is what the header said.
Result<Image> decode_jpeg(Bytes bytes, Size size);
Result<Image> decode_png(Bytes bytes, Size size);
Result<Image> decode_webp(Bytes bytes, Size size);
Result<Image> decode_gif(Bytes bytes, Size size);
Result<Image> decode_bmp(Bytes bytes, Size size);

/// A fault of a file of that format.
Fault bad_image(Format format, std::string what);
/// The file ends before the image does.
Fault cut_off(Format format, size_t bytes);

}  // namespace lmms::media
