#include "media/image.h"

#include <algorithm>
#include <utility>

#include "core/format.h"
#include "media/codecs.h"

namespace lmms::media {
namespace {

struct Codec {
  Format format;
  std::string_view name;
  Result<Size> (*size)(Bytes);
  Metadata (*metadata)(Bytes);
  Result<Image> (*decode)(Bytes, Size);
};

Metadata no_metadata(Bytes) {
  return {};
}

constexpr Codec kCodecs[] = {
    {Format::jpeg, "JPEG", jpeg_size, jpeg_metadata, decode_jpeg},
    {Format::png, "PNG", png_size, png_metadata, decode_png},
    {Format::webp, "WebP", webp_size, webp_metadata, decode_webp},
    {Format::gif, "GIF", gif_size, no_metadata, decode_gif},
    {Format::bmp, "BMP", bmp_size, no_metadata, decode_bmp},
};

const Codec& codec_of(Format format) {
  return kCodecs[size_t(format)];
}

std::optional<Format> format_of(const Reader& file) {
  if (file.starts(0, "\xff\xd8\xff")) return Format::jpeg;
  if (file.starts(0, "\x89PNG\r\n\x1a\n")) return Format::png;
  if (file.starts(0, "RIFF") && file.starts(8, "WEBPVP8")) return Format::webp;
  if (file.starts(0, "GIF87a") || file.starts(0, "GIF89a")) return Format::gif;
  if (file.starts(0, "BM")) return Format::bmp;
  return std::nullopt;
}

/// A name for what people put where an image should be.
std::string_view other_kind(const Reader& file) {
  if (file.size() == 0) return "an empty file";
  if (file.starts(0, "II*\0") || file.starts(0, std::string_view("MM\0*", 4))) return "a TIFF";
  if (file.starts(4, "ftypavif") || file.starts(4, "ftypavis")) return "an AVIF image";
  if (file.starts(4, "ftyphei") || file.starts(4, "ftypmif1")) return "a HEIF image";
  if (file.starts(4, "ftyp")) return "an MP4 or MOV video";
  if (file.starts(0, "\x1a\x45\xdf\xa3")) return "a WebM or Matroska video";
  if (file.starts(4, "jP  ")) return "a JPEG 2000";
  if (file.starts(0, "%PDF")) return "a PDF";
  if (file.starts(0, "PK\3\4")) return "a ZIP archive";
  if (file.starts(0, "\x1f\x8b")) return "a gzip archive";
  if (file.starts(0, "version https://git-lfs"))
    return "a Git LFS pointer, not the file it stands for";
  const std::string_view front = file.view(0, 256);
  const size_t word = front.find_first_not_of(" \t\r\n");
  if (word != front.npos && front[word] == '<') return "an HTML, XML or SVG text";
  if (word != front.npos && front[word] == '{') return "a JSON text";
  if (std::all_of(front.begin(), front.end(), [](char c) { return c == 0; }))
    return "bytes that are all zero";
  return "bytes of no known format";
}

struct Block {
  uint8_t* data = nullptr;
  size_t bytes = 0;
};

/// An image may outlive its thread's Spares: static ones do.
thread_local bool spares_gone = false;

/// The memory of images that are gone, for those that come: what decoding and resizing go through
/// over and over. One of each thread.
class Spares {
 public:
  Spares() = default;
  Spares(const Spares&) = delete;
  Spares& operator=(const Spares&) = delete;
  ~Spares() {
    for (const Block& block : kept_) delete[] block.data;
    spares_gone = true;
  }
  /// The smallest that suffices and is not twice too large; else new memory.
  Block take(size_t bytes) {
    Block* best = nullptr;
    for (Block& block : kept_)
      if (block.bytes >= bytes && block.bytes / 2 <= bytes && (!best || block.bytes < best->bytes))
        best = &block;
    return best ? std::exchange(*best, {}) : Block{new uint8_t[bytes], bytes};
  }
  /// Keeps the latest three of a middle size: small ones are cheap anyway.
  void give(Block block) {
    if (block.bytes >= kLeast && block.bytes <= kMost) std::swap(block, kept_[next_++ % kKept]);
    delete[] block.data;
  }

 private:
  static constexpr size_t kKept = 3, kLeast = size_t{1} << 17, kMost = size_t{1} << 25;
  Block kept_[kKept];
  size_t next_ = 0;
};

thread_local Spares spares;

}  // namespace

Image::Image(int width, int height) : width_(width), height_(height) {
  const size_t bytes = size_t(width) * height * 3 + kSlack;
  const Block block = spares_gone ? Block{new uint8_t[bytes], bytes} : spares.take(bytes);
  data_ = {block.data, Recycle(block.bytes)};
}

void Image::Recycle::operator()(uint8_t* data) const noexcept {
  if (spares_gone)
    delete[] data;
  else
    spares.give({data, bytes});
}

std::string_view name_of(Format format) {
  return codec_of(format).name;
}

Fault bad_image(Format format, std::string what) {
  return {"", fmt::format("{}: {}", name_of(format), what),
          "replace the file, or let dataset_config.on_bad_sample pass over such samples"};
}

Fault cut_off(Format format, size_t bytes) {
  return bad_image(format, fmt::format("the file ends within the image, after {} bytes", bytes));
}

Result<ImageInfo> probe(Bytes bytes) {
  const Reader file(bytes);
  const std::optional<Format> format = format_of(file);
  if (!format)
    return Fault{
        "",
        fmt::format("expected an image (JPEG, PNG, WebP, GIF or BMP), found {}", other_kind(file)),
        "convert it to one of these, or correct the path"};
  const Codec& codec = codec_of(*format);
  const Result<Size> size = codec.size(bytes);
  if (!size) return size.fault();
  if (size->width < 1 || size->height < 1)
    return bad_image(*format, fmt::format("an image of {} x {} pixels", size->width, size->height));
  return ImageInfo{*format, size->width, size->height, orientation_of(codec.metadata(bytes))};
}

Result<Image> decode(Bytes bytes, const DecodeOptions& options) {
  const Result<ImageInfo> info = probe(bytes);
  if (!info) return info.fault();
  const int64_t pixels = int64_t{info->width} * info->height;
  if (pixels > options.max_pixels)
    return bad_image(
        info->format,
        fmt::format(
            "{} x {} = {} pixels, over the limit of {} that guards against decompression bombs",
            info->width, info->height, pixels, options.max_pixels));
  Result<Image> image = codec_of(info->format).decode(bytes, {info->width, info->height});
  if (!image || !options.apply_exif) return image;
  return turn(*std::move(image), info->orientation);
}

Image turn(Image image, int orientation) {
  if (orientation < 2 || orientation > 8) return image;
  const int width = image.width(), height = image.height();
  const bool turned = orientation >= 5;
  Image out(turned ? height : width, turned ? width : height);
  // Output pixel (x, y) is the input pixel at origin + x * right + y * down, counted in pixels.
  const int64_t w = width, last_x = width - 1, last_y = (height - 1) * w;
  const struct {
    int64_t origin, right, down;
  } steps[] = {{last_x, -1, w},            // 2: mirrored left to right
               {last_y + last_x, -1, -w},  // 3: upside down
               {last_y, 1, -w},            // 4: mirrored top to bottom
               {0, w, 1},                  // 5: transposed
               {last_y, -w, 1},            // 6: to be turned by a quarter clockwise
               {last_y + last_x, -w, -1},  // 7: transposed along the other diagonal
               {last_x, w, -1}};           // 8: to be turned by a quarter anticlockwise
  const auto [origin, right, down] = steps[orientation - 2];
  const uint8_t* from = image.pixels().data();
  for (int y = 0; y < out.height(); ++y) {
    const uint8_t* in = from + 3 * (origin + y * down);
    uint8_t* to = out.row(y);
    for (int x = 0; x < out.width(); ++x, in += 3 * right, to += 3) {
      to[0] = in[0];
      to[1] = in[1];
      to[2] = in[2];
    }
  }
  return out;
}

}  // namespace lmms::media
