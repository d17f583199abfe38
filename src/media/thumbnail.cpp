#include "media/thumbnail.h"

#include <png.h>

#include <algorithm>
#include <array>
#include <csetjmp>
#include <cstdio>
#include <cstdlib>
#include <utility>
// after <cstdio>, which it needs
#include <jpeglib.h>

#include "core/format.h"
#include "media/resize.h"
#include "media/source.h"

namespace lmms::media {
namespace {

bool is_gray(const Image& image) {
  const auto pixels = image.pixels();
  for (size_t i = 0; i < pixels.size(); i += 3)
    if (pixels[i] != pixels[i + 1] || pixels[i] != pixels[i + 2]) return false;
  return true;
}

// The longer side at most `side`; no side below 1.
Image shrunk(const Image& image, int side) {
  const int longer = std::max(image.width(), image.height());
  const double ratio = std::min(1.0, static_cast<double>(side) / longer);
  const auto scaled = [&](int n) { return std::max(1, static_cast<int>(n * ratio + 0.5)); };
  return resize(image, scaled(image.width()), scaled(image.height()));
}

std::string url_of(const char* type, std::string_view file) {
  return fmt::format("data:image/{};base64,{}", type, encode_base64(file));
}

struct Compressor {
  jpeg_compress_struct library{};
  jpeg_error_mgr errors{};
  std::jmp_buf on_error{};
  unsigned char* bytes = nullptr;
  unsigned long size = 0;
  bool well = false;

  ~Compressor() {
    jpeg_destroy_compress(&library);
    std::free(bytes);
  }
};

// In a function of its own: nothing with a destructor lives across the jump.
void compress(Compressor& c, const Image& image, int quality) {
  c.library.err = jpeg_std_error(&c.errors);
  c.library.client_data = &c;
  c.errors.error_exit = [](j_common_ptr library) {
    std::longjmp(static_cast<Compressor*>(library->client_data)->on_error, 1);
  };
  if (setjmp(c.on_error) != 0) return;
  jpeg_create_compress(&c.library);
  jpeg_mem_dest(&c.library, &c.bytes, &c.size);
  c.library.image_width = static_cast<JDIMENSION>(image.width());
  c.library.image_height = static_cast<JDIMENSION>(image.height());
  c.library.input_components = 3;
  c.library.in_color_space = JCS_RGB;
  jpeg_set_defaults(&c.library);
  jpeg_set_quality(&c.library, quality, TRUE);
  c.library.optimize_coding = TRUE;
  jpeg_start_compress(&c.library, TRUE);
  for (int y = 0; y < image.height(); ++y) {
    auto* row = const_cast<JSAMPROW>(image.row(y));  // the library only reads it
    jpeg_write_scanlines(&c.library, &row, 1);
  }
  jpeg_finish_compress(&c.library);
  c.well = true;
}

// Nearest neighbour, for images of few pixels: their squares stay squares.
Image enlarged(const Image& image, int factor) {
  Image out(image.width() * factor, image.height() * factor);
  for (int y = 0; y < out.height(); ++y) {
    for (int x = 0; x < out.width(); ++x)
      std::copy_n(image.row(y / factor) + x / factor * 3, 3, out.row(y) + x * 3);
  }
  return out;
}

std::string shades(const Image& image) {
  static constexpr std::array<const char*, 5> kShades = {"  ", "\u2591\u2591", "\u2592\u2592",
                                                         "\u2593\u2593", "\u2588\u2588"};
  std::string out;
  for (int y = 0; y < image.height(); ++y) {
    for (int x = 0; x < image.width(); ++x) {
      const uint8_t* p = image.row(y) + x * 3;
      const int luma = (299 * p[0] + 587 * p[1] + 114 * p[2]) / 1000;
      out += kShades[static_cast<size_t>(luma * 5 / 256)];
    }
    out += '\n';
  }
  return out;
}

std::string half_blocks(const Image& image) {
  std::string out;
  for (int y = 0; y < image.height(); y += 2) {
    for (int x = 0; x < image.width(); ++x) {
      const uint8_t* upper = image.row(y) + x * 3;
      out += fmt::format("\x1b[38;2;{};{};{}m", upper[0], upper[1], upper[2]);
      if (y + 1 < image.height()) {
        const uint8_t* lower = image.row(y + 1) + x * 3;
        out += fmt::format("\x1b[48;2;{};{};{}m", lower[0], lower[1], lower[2]);
      }
      out += "\u2580";
    }
    out += "\x1b[0m\n";
  }
  return out;
}

}  // namespace

std::string encode_png(const Image& image) {
  png_image png{};
  png.version = PNG_IMAGE_VERSION;
  png.width = static_cast<png_uint_32>(image.width());
  png.height = static_cast<png_uint_32>(image.height());
  png.format = PNG_FORMAT_RGB;
  std::string gray;
  const void* pixels = image.pixels().data();
  if (is_gray(image)) {
    png.format = PNG_FORMAT_GRAY;
    for (size_t i = 0; i < image.pixels().size(); i += 3)
      gray += static_cast<char>(image.pixels()[i]);
    pixels = gray.data();
  }
  png_alloc_size_t size = PNG_IMAGE_PNG_SIZE_MAX(png);
  std::string out(size, '\0');
  if (png_image_write_to_memory(&png, out.data(), &size, 0, pixels, 0, nullptr) == 0)
    throw Error("png", png.message, "", Exit::failed);
  out.resize(size);
  return out;
}

std::string encode_jpeg(const Image& image, int quality) {
  Compressor compressor;
  compress(compressor, image, quality);
  if (!compressor.well) {
    char message[JMSG_LENGTH_MAX];
    compressor.errors.format_message(reinterpret_cast<j_common_ptr>(&compressor.library), message);
    throw Error("jpeg", message, "", Exit::failed);
  }
  return {reinterpret_cast<const char*>(compressor.bytes), compressor.size};
}

std::string thumbnail_url(const Image& image, const ThumbnailOptions& options) {
  for (int side = options.side;; side = side * 2 / 3) {
    const Image small = shrunk(image, side);
    std::string url = url_of("png", encode_png(small));
    if (url.size() <= options.most_bytes) return url;
    for (const int quality : {90, 75, 60, 45, 30}) {
      url = url_of("jpeg", encode_jpeg(small, quality));
      if (url.size() <= options.most_bytes || side < 8) return url;
    }
  }
}

std::string block_picture(const Image& image, int columns, bool colour) {
  // a cell is as wide as half its height: in shades a pixel takes two of them
  const int most = std::max(1, colour ? columns : columns / 2);
  Image small = shrunk(image, most);
  const int factor = most / std::max(small.width(), small.height());
  if (colour && factor > 1) small = enlarged(small, std::min(factor, 2));
  return colour ? half_blocks(small) : shades(small);
}

}  // namespace lmms::media
