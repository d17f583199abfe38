#pragma once
/// Pixels -> what a person sees of them: small image files for pages, characters for a terminal.
#include <string>
#include <string_view>

#include "media/image.h"

namespace lmms::media {

/// A PNG file without loss; gray where the image is.
std::string encode_png(const Image& image);
/// A baseline JPEG file; `quality` 1..100.
std::string encode_jpeg(const Image& image, int quality);

struct ThumbnailOptions {
  int side = 112;             ///< the longer one at most; smaller images keep their size
  size_t most_bytes = 4'000;  ///< of the URL
};
/// The image, shrunk, as a `data:` URL of PNG or, where that is too long, of JPEG at the best
/// quality that fits.
std::string thumbnail_url(const Image& image, const ThumbnailOptions& options = {});

/// The image as lines of block characters, each ended by a newline: `columns` wide, or less where
/// it is small. In colour a cell shows two pixels (24-bit escapes); without, one of five shades of
/// brightness.
std::string block_picture(const Image& image, int columns, bool colour);

}  // namespace lmms::media
