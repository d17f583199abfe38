#pragma once
/// Resizing of 8-bit images, equal to what torchvision does to uint8 tensors with antialias=True on
/// a CPU (torch's own integer kernel, which follows Pillow's).
#include "media/image.h"

namespace lmms::media {

enum class Filter {
  box,       ///< the mean of what a pixel covers
  bilinear,  ///< a triangle
  bicubic,   ///< Keys' cubic with a = -0.5; HF's image processors use it nearly everywhere
  lanczos,   ///< three lobes
};

/// The image at another size. Each axis by itself, width first: weights in 16-bit integers, sums
/// rounded to 8 bits after each axis. When shrinking, the filter is widened by the ratio
/// (antialias). An axis that keeps its size is not touched. Both sizes are positive.
/// bicubic and bilinear are bit-equal to torchvision, box is within one level of Pillow's. lanczos,
/// which torch 2.11 lacks, is within one level of Pillow's on one axis; with two, Pillow may take
/// the height first, which differs more.
Image resize(const Image& image, int width, int height, Filter filter = Filter::bicubic);

}  // namespace lmms::media
