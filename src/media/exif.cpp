/// The orientation of an image, found as Pillow's getexif() finds it: tag 0x0112 of the first EXIF
/// directory, else `tiff:Orientation` in XMP. What cannot be read counts as upright.
#include "media/codecs.h"

namespace lmms::media {
namespace {

constexpr uint32_t kOrientation = 0x0112;

/// Numbers of a TIFF structure, in its own byte order.
struct Tiff {
  Reader bytes;
  bool little;
  uint32_t u16(size_t at) const { return little ? bytes.le16(at) : bytes.be16(at); }
  uint32_t u32(size_t at) const { return little ? bytes.le32(at) : bytes.be32(at); }
};

/// The tag's value; nullopt if the directory has none.
std::optional<int> exif_orientation(std::string_view exif) {
  while (exif.starts_with(std::string_view("Exif\0\0", 6))) exif.remove_prefix(6);
  const Reader bytes({reinterpret_cast<const std::byte*>(exif.data()), exif.size()});
  if (!exif.starts_with("II") && !exif.starts_with("MM")) return std::nullopt;
  const Tiff tiff{bytes, exif.starts_with("II")};
  if (tiff.u16(2) != 42) return std::nullopt;
  const size_t directory = tiff.u32(4);
  const size_t count = tiff.u16(directory);
  for (size_t i = 0; i < count && bytes.has(directory + 2 + 12 * i, 12); ++i) {
    const size_t entry = directory + 2 + 12 * i;
    if (tiff.u16(entry) != kOrientation) continue;
    if (tiff.u32(entry + 4) != 1) return 1;
    switch (tiff.u16(entry + 2)) {
      case 1:  // BYTE
        return int(bytes.u8(entry + 8));
      case 3:  // SHORT
      case 8:
        return int(tiff.u16(entry + 8));
      case 4:  // LONG
      case 9:
        return int(tiff.u32(entry + 8));
      default:
        return 1;
    }
  }
  return std::nullopt;
}

/// re.search('tiff:Orientation(="|>)([0-9])')
std::optional<int> xmp_orientation(std::string_view xmp) {
  constexpr std::string_view name = "tiff:Orientation";
  for (size_t at = xmp.find(name); at != xmp.npos; at = xmp.find(name, at + 1)) {
    std::string_view rest = xmp.substr(at + name.size());
    if (rest.starts_with("=\""))
      rest.remove_prefix(2);
    else if (rest.starts_with(">"))
      rest.remove_prefix(1);
    else
      continue;
    if (!rest.empty() && rest[0] >= '0' && rest[0] <= '9') return rest[0] - '0';
  }
  return std::nullopt;
}

}  // namespace

int orientation_of(const Metadata& metadata) {
  std::optional<int> found = exif_orientation(metadata.exif);
  if (!found) found = xmp_orientation(metadata.xmp);
  return found && *found >= 1 && *found <= 8 ? *found : 1;
}

}  // namespace lmms::media
