/// PNG by libpng, brought to 8-bit RGB as Pillow's modes and convert("RGB") do: alpha and
/// transparent colours are dropped, no gamma is applied, of 16 bits the upper 8 are taken
/// (grayscale: see gray16).
#include <png.h>
#include <zlib.h>

#include <algorithm>
#include <csetjmp>
#include <cstring>
#include <vector>

#include "core/format.h"
#include "media/codecs.h"

namespace lmms::media {
namespace {

constexpr size_t kSignature = 8;
/// Compressed text of a PNG that may hold EXIF is unpacked up to this.
constexpr size_t kMostText = 1 << 20;

struct Decoder {
  png_structp library = nullptr;
  png_infop info = nullptr;
  Bytes bytes;
  size_t at = 0;
  std::jmp_buf on_error;
  char message[200] = "";
  bool ended = false;
  png_uint_32 height = 0;  // of the rows, once they are read
  size_t behind = 0;       // bytes read behind the last of them
};

[[noreturn]] void fail(png_structp library, png_const_charp message) {
  auto& d = *static_cast<Decoder*>(png_get_error_ptr(library));
  std::snprintf(d.message, sizeof d.message, "%s", message);
  std::longjmp(d.on_error, 1);
}

constexpr int kPasses = 7;  // of an interlaced image
/// More than an encoder leaves behind its last row: the end of the deflate stream and its checksum.
constexpr size_t kMostBehind = 1 << 14;

void read(png_structp library, png_bytep to, size_t count) {
  auto& d = *static_cast<Decoder*>(png_get_io_ptr(library));
  // libpng unpacks what follows the last row and throws it away: up to a thousand times its size.
  const bool behind = d.height > 0 && (png_get_current_row_number(library) >= d.height ||
                                       png_get_current_pass_number(library) >= kPasses);
  if (behind && (d.behind += count) > kMostBehind)
    png_error(library, "too much data behind the last row, a decompression bomb");
  if (count > d.bytes.size() - d.at) {
    d.ended = true;
    png_error(library, "the file ends early");
  }
  std::memcpy(to, d.bytes.data() + d.at, count);
  d.at += count;
}

/// What one row of the file becomes, after libpng's transformations.
struct Layout {
  int color_type = 0, depth = 0, channels = 0;
  uint8_t palette[256][3] = {};
};

/// Reads the header and sets the transformations. May jump.
void prepare(Decoder& d, Layout& layout) {
  png_set_read_fn(d.library, &d, read);
  // A wrong checksum of a chunk that carries no pixels harms nothing.
  png_set_crc_action(d.library, PNG_CRC_DEFAULT, PNG_CRC_QUIET_USE);
  png_set_user_limits(d.library, PNG_UINT_31_MAX, PNG_UINT_31_MAX);
  png_read_info(d.library, d.info);
  layout.color_type = png_get_color_type(d.library, d.info);
  layout.depth = png_get_bit_depth(d.library, d.info);
  if (layout.color_type == PNG_COLOR_TYPE_PALETTE) {
    png_colorp colors = nullptr;
    int count = 0;
    png_get_PLTE(d.library, d.info, &colors, &count);
    for (int i = 0; i < count && i < 256; ++i) {
      layout.palette[i][0] = colors[i].red;
      layout.palette[i][1] = colors[i].green;
      layout.palette[i][2] = colors[i].blue;
    }
    png_set_packing(d.library);
  } else {
    if (layout.color_type == PNG_COLOR_TYPE_GRAY && layout.depth < 8)
      png_set_expand_gray_1_2_4_to_8(d.library);
    if (layout.depth == 16 && layout.color_type != PNG_COLOR_TYPE_GRAY) png_set_strip_16(d.library);
    png_set_strip_alpha(d.library);
  }
  png_set_interlace_handling(d.library);
  png_read_update_info(d.library, d.info);
  layout.channels = png_get_channels(d.library, d.info);
}

/// May jump. `rows` point to the rows of the image, or of the raw samples that to_rgb reads.
bool run_header(Decoder& d, Layout& layout) {
  if (setjmp(d.on_error)) return false;
  prepare(d, layout);
  return true;
}

bool run_image(Decoder& d, png_bytepp rows) {
  if (setjmp(d.on_error)) return false;
  png_read_image(d.library, rows);
  return true;
}

/// Pillow's I;16 -> RGB.
uint8_t gray16(uint8_t high, uint8_t low) {
  return high == 0 ? low : 255;
}

void to_rgb(const Layout& layout, const uint8_t* in, uint8_t* out, int width) {
  for (int x = 0; x < width; ++x, out += 3) {
    if (layout.color_type == PNG_COLOR_TYPE_PALETTE)
      std::memcpy(out, layout.palette[in[x]], 3);
    else if (layout.depth == 16 && layout.color_type == PNG_COLOR_TYPE_GRAY)
      std::memset(out, gray16(in[2 * x], in[2 * x + 1]), 3);
    else
      std::memset(out, in[x * layout.channels], 3);
  }
}

struct DestroyLibrary {
  Decoder& d;
  ~DestroyLibrary() { png_destroy_read_struct(&d.library, &d.info, nullptr); }
};

/// Calls `visit(type, content)` for each chunk that is whole.
template <class Visit>
void walk(const Reader& file, Visit visit) {
  for (size_t at = kSignature; file.has(at, 8);) {
    const size_t length = file.be32(at);
    if (!file.has(at + 8, length)) return;
    visit(file.view(at + 4, 4), file.view(at + 8, length));
    at += 12 + length;
  }
}

std::string inflate_text(std::string_view packed) {
  std::string text(kMostText, 0);
  z_stream stream{};
  if (inflateInit(&stream) != Z_OK) return {};
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(packed.data()));
  stream.avail_in = uInt(std::min<size_t>(packed.size(), kMostText));
  stream.next_out = reinterpret_cast<Bytef*>(text.data());
  stream.avail_out = uInt(text.size());
  const int state = inflate(&stream, Z_FINISH);
  text.resize(state == Z_STREAM_END ? text.size() - stream.avail_out : 0);
  inflateEnd(&stream);
  return text;
}

/// ImageMagick's form of EXIF: "\nexif\n  LENGTH\n" and hexadecimal digits in lines.
std::string raw_profile(std::string_view text) {
  for (int line = 0; line < 3; ++line) {
    const size_t end = text.find('\n');
    if (end == text.npos) return {};
    text.remove_prefix(end + 1);
  }
  std::string bytes;
  int high = -1;
  for (char c : text) {
    const int digit = c >= '0' && c <= '9'                 ? c - '0'
                      : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10
                                                           : -1;
    if (digit < 0) continue;
    if (high >= 0) bytes.push_back(char(high << 4 | digit));
    high = high >= 0 ? -1 : digit;
  }
  return bytes;
}

}  // namespace

Result<Size> png_size(Bytes bytes) {
  const Reader file(bytes);
  if (!file.has(kSignature, 25)) return cut_off(Format::png, bytes.size());
  if (!file.starts(kSignature + 4, "IHDR"))
    return bad_image(Format::png, "no IHDR chunk at its front");
  const uint32_t width = file.be32(kSignature + 8), height = file.be32(kSignature + 12);
  if (width > PNG_UINT_31_MAX || height > PNG_UINT_31_MAX)
    return bad_image(Format::png, fmt::format("an image of {} x {} pixels", width, height));
  return Size{int(width), int(height)};
}

Metadata png_metadata(Bytes bytes) {
  constexpr std::string_view profile("Raw profile type exif\0", 22), xmp("XML:com.adobe.xmp\0", 18);
  Metadata found;
  std::string old_form;
  walk(Reader(bytes), [&](std::string_view type, std::string_view content) {
    if (type == "eXIf") {
      found.exif = content;
    } else if (type == "tEXt" && content.starts_with(profile)) {
      old_form = raw_profile(content.substr(profile.size()));
    } else if (type == "zTXt" && content.starts_with(profile) && content.size() > profile.size()) {
      old_form = raw_profile(inflate_text(content.substr(profile.size() + 1)));
    } else if (type == "iTXt" && content.starts_with(xmp) && content.size() > xmp.size() + 2) {
      const bool packed = content[xmp.size()] != 0;
      std::string_view text = content.substr(xmp.size() + 2);
      for (int field = 0; field < 2; ++field)  // language and translated keyword
        text.remove_prefix(std::min(text.find('\0'), text.size() - 1) + (text.empty() ? 0 : 1));
      found.xmp = packed ? inflate_text(text) : std::string(text);
    }
  });
  if (found.exif.empty()) found.exif = std::move(old_form);
  return found;
}

Result<Image> decode_png(Bytes bytes, Size size) {
  Decoder d;
  d.bytes = bytes;
  d.library =
      png_create_read_struct(PNG_LIBPNG_VER_STRING, &d, fail, [](png_structp, png_const_charp) {});
  const DestroyLibrary destroy{d};
  if (d.library) d.info = png_create_info_struct(d.library);
  if (!d.info) return bad_image(Format::png, "libpng could not start");
  const auto fault = [&] {
    return d.ended ? cut_off(Format::png, bytes.size()) : bad_image(Format::png, d.message);
  };

  Layout layout;
  if (!run_header(d, layout)) return fault();
  const size_t row_bytes = png_get_rowbytes(d.library, d.info);
  if (png_get_image_width(d.library, d.info) != png_uint_32(size.width) ||
      png_get_image_height(d.library, d.info) != png_uint_32(size.height))
    return bad_image(Format::png, "two headers that contradict each other");
  Image image(size.width, size.height);
  const bool is_rgb =
      layout.color_type == PNG_COLOR_TYPE_RGB || layout.color_type == PNG_COLOR_TYPE_RGB_ALPHA;
  std::vector<uint8_t> samples(is_rgb ? 0 : row_bytes * size.height);
  std::vector<png_bytep> rows(size.height);
  d.height = png_uint_32(size.height);
  for (int y = 0; y < size.height; ++y)
    rows[y] = is_rgb ? image.row(y) : samples.data() + row_bytes * y;
  if (!run_image(d, rows.data())) return fault();
  if (!is_rgb)
    for (int y = 0; y < size.height; ++y) to_rgb(layout, rows[y], image.row(y), size.width);
  return image;
}

}  // namespace lmms::media
