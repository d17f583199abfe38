#include "media/centre_crop.h"

#include <algorithm>
#include <cmath>

#include "media/resize.h"

namespace lmms::media {

Image centre_crop(Image image, int size) {
  while (std::min(image.width(), image.height()) >= 2 * size)
    image = resize(image, image.width() / 2, image.height() / 2, Filter::box);
  const double scale = double(size) / std::min(image.width(), image.height());
  // nearbyint rounds halves to even, as Python's round does.
  const int width = std::max(size, int(std::nearbyint(image.width() * scale)));
  const int height = std::max(size, int(std::nearbyint(image.height() * scale)));
  image = resize(image, width, height, Filter::bicubic);
  const int left = (width - size) / 2, top = (height - size) / 2;
  Image out(size, size);
  for (int y = 0; y < size; ++y)
    std::copy_n(image.row(top + y) + size_t(left) * 3, size_t(size) * 3, out.row(y));
  return out;
}

}  // namespace lmms::media
