/// BMP of Windows and OS/2, as Pillow's BmpImagePlugin reads it: 1, 4 and 8 bits with a palette
/// (RLE too), 16 bits in two layouts, 24 and 32 bits with the usual masks; alpha is dropped.
#include <algorithm>
#include <array>
#include <cstring>
#include <vector>

#include "core/format.h"
#include "media/codecs.h"

namespace lmms::media {
namespace {

enum Compression : uint32_t { kRaw = 0, kRle8 = 1, kRle4 = 2, kBitfields = 3 };

struct Header {
  int width = 0, height = 0;
  bool top_down = false;
  uint32_t bits = 0, compression = kRaw;
  uint32_t masks[4] = {};
  size_t palette_at = 0, palette_step = 0, colors = 0;
  size_t data_at = 0;
};

Result<Header> header_of(Bytes bytes) {
  const Reader file(bytes);
  if (!file.has(0, 26)) return cut_off(Format::bmp, bytes.size());
  const uint32_t header_size = file.le32(14);
  if (!file.has(14, header_size)) return cut_off(Format::bmp, bytes.size());
  Header h;
  size_t end = 14 + size_t{header_size};
  if (header_size == 12) {  // OS/2
    h.width = int(file.le16(18));
    h.height = int(file.le16(20));
    h.bits = file.le16(24);
    h.palette_step = 3;
  } else if (header_size == 40 || header_size == 52 || header_size == 56 || header_size == 64 ||
             header_size == 108 || header_size == 124) {
    h.top_down = file.u8(25) == 0xff;
    const uint32_t width = file.le32(18), height = file.le32(22);
    h.width = int(std::min(width, 0x7fffffffu));
    h.height = int(std::min(h.top_down ? 0u - height : height, 0x7fffffffu));
    h.bits = file.le16(28);
    h.compression = file.le32(30);
    h.colors = file.le32(46);
    h.palette_step = 4;
    if (h.compression == kBitfields) {
      const bool inside = header_size >= 52;
      if (!inside && !file.has(end, 12)) return cut_off(Format::bmp, bytes.size());
      const size_t masks_at = inside ? 54 : end;
      for (int i = 0; i < 3; ++i) h.masks[i] = file.le32(masks_at + 4 * i);
      if (header_size >= 56) h.masks[3] = file.le32(masks_at + 12);
      if (!inside) end += 12;
    }
  } else {
    return bad_image(Format::bmp,
                     fmt::format("a header of {} bytes, which no known version has", header_size));
  }
  if (h.bits != 1 && h.bits != 4 && h.bits != 8 && h.bits != 16 && h.bits != 24 && h.bits != 32)
    return bad_image(Format::bmp,
                     fmt::format("{} bits a pixel; expected 1, 4, 8, 16, 24 or 32", h.bits));
  if (h.compression > kBitfields)
    return bad_image(Format::bmp, fmt::format("compression {} is not supported", h.compression));
  if ((h.compression == kRle8 || h.compression == kRle4) && h.bits > 8)
    return bad_image(Format::bmp, fmt::format("run lengths of {}-bit pixels", h.bits));
  if (h.colors == 0 && h.bits <= 8) h.colors = size_t{1} << h.bits;
  if (h.bits <= 8 && h.colors > 65536)
    return bad_image(Format::bmp, fmt::format("a palette of {} colours", h.colors));
  h.palette_at = end;
  const size_t palette_bytes = h.bits <= 8 ? h.palette_step * h.colors : 0;
  h.data_at = file.le32(10);
  // Pillow: some writers give the end of the header where the pixels should stand.
  if (h.data_at == 14 + size_t{header_size} || h.data_at == 0) h.data_at = end + palette_bytes;
  return h;
}

/// [256][3] RGB. A palette of shades in order is the same colours as Pillow's modes 1 and L.
std::array<uint8_t, 768> palette_of(const Reader& file, const Header& h) {
  std::array<uint8_t, 768> palette{};
  for (size_t i = 0; i < 256 && i < h.colors; ++i)
    for (size_t c = 0; c < 3; ++c)
      palette[3 * i + c] = uint8_t(file.u8(h.palette_at + i * h.palette_step + 2 - c));
  return palette;
}

/// Where red, green and blue stand in the bytes of a pixel.
struct ByteOrder {
  int red, green, blue;
};

Result<ByteOrder> order_of(const Header& h) {
  if (h.compression == kRaw || h.bits == 24) return ByteOrder{2, 1, 0};
  const auto is = [&](uint32_t r, uint32_t g, uint32_t b, uint32_t a) {
    return h.masks[0] == r && h.masks[1] == g && h.masks[2] == b && h.masks[3] == a;
  };
  if (is(0xff0000, 0xff00, 0xff, 0) || is(0xff0000, 0xff00, 0xff, 0xff000000) || is(0, 0, 0, 0))
    return ByteOrder{2, 1, 0};
  if (is(0xff000000, 0xff0000, 0xff00, 0) || is(0xff000000, 0xff0000, 0xff00, 0xff))
    return ByteOrder{3, 2, 1};
  if (is(0xff000000, 0xff00, 0xff, 0) || is(0xff000000, 0xff00, 0xff, 0xff0000))
    return ByteOrder{3, 1, 0};
  if (is(0xff, 0xff00, 0xff0000, 0xff000000)) return ByteOrder{0, 1, 2};
  return bad_image(Format::bmp, "colour masks of an unusual layout");
}

/// The palette indices of a run-length file, from the bottom row up, as Pillow's BmpRleDecoder lays
/// them.
std::vector<uint8_t> unpack_runs(const Reader& file, const Header& h) {
  const bool four_bits = h.compression == kRle4;
  const size_t width = size_t(h.width), wanted = width * size_t(h.height);
  std::vector<uint8_t> out;
  out.reserve(wanted);
  size_t x = 0;
  for (size_t at = h.data_at; out.size() < wanted && file.has(at, 2);) {
    size_t count = file.u8(at);
    const uint32_t value = file.u8(at + 1);
    at += 2;
    if (count) {
      if (x + count > width) count = x < width ? width - x : 0;
      for (size_t i = 0; i < count; ++i)
        out.push_back(uint8_t(!four_bits ? value : i % 2 == 0 ? value >> 4 : value & 15));
      x += count;
    } else if (value == 0) {  // end of the line
      while (out.size() % width) out.push_back(0);
      x = 0;
    } else if (value == 1) {  // end of the image
      break;
    } else if (value == 2) {  // a jump
      if (!file.has(at, 2)) break;
      const size_t jump = file.u8(at) + file.u8(at + 1) * width;
      at += 2;
      out.resize(out.size() + std::min(wanted - out.size(), jump), 0);
      x = out.size() % width;
    } else {  // pixels as they are, up to an even address
      const size_t pixels = std::min<size_t>(wanted - out.size(), value);
      const size_t stored = four_bits ? (pixels + 1) / 2 : pixels;
      const bool whole = file.has(at, stored);
      const std::string_view raw = file.view(at, stored);
      for (size_t i = 0; i < pixels && (four_bits ? i / 2 : i) < raw.size(); ++i) {
        const uint8_t byte = uint8_t(raw[four_bits ? i / 2 : i]);
        out.push_back(!four_bits ? byte : i % 2 == 0 ? byte >> 4 : byte & 15);
      }
      if (!whole || out.size() == wanted) break;
      x += value;
      at += stored;
      at += at % 2;
    }
  }
  out.resize(std::min(out.size(), wanted));
  return out;
}

int expand5(uint32_t value) {
  return int(value * 255 / 31);
}
int expand6(uint32_t value) {
  return int(value * 255 / 63);
}

void row16(const Reader& file, size_t at, bool six_green, uint8_t* out, int width) {
  for (int x = 0; x < width; ++x, at += 2, out += 3) {
    const uint32_t pixel = file.le16(at);
    out[2] = uint8_t(expand5(pixel & 31));
    out[1] = uint8_t(six_green ? expand6(pixel >> 5 & 63) : expand5(pixel >> 5 & 31));
    out[0] = uint8_t(expand5(pixel >> (six_green ? 11 : 10) & 31));
  }
}

}  // namespace

Result<Size> bmp_size(Bytes bytes) {
  const Result<Header> header = header_of(bytes);
  if (!header) return header.fault();
  return Size{header->width, header->height};
}

Result<Image> decode_bmp(Bytes bytes, Size size) {
  const Result<Header> header = header_of(bytes);
  if (!header) return header.fault();
  const Header& h = *header;
  const Reader file(bytes);
  const auto cut = [&] { return cut_off(Format::bmp, bytes.size()); };
  const std::array<uint8_t, 768> palette = palette_of(file, h);
  const auto row_of = [&](Image& image, int stored) {
    return image.row(h.top_down ? stored : size.height - 1 - stored);
  };
  const auto color = [&](uint8_t* out, uint32_t index) {
    std::memcpy(out, &palette[3 * (index & 255)], 3);
  };

  if (h.compression == kRle8 || h.compression == kRle4) {
    const std::vector<uint8_t> indices = unpack_runs(file, h);
    if (indices.size() < size_t(size.width) * size.height) return cut();
    Image image(size.width, size.height);
    for (int y = 0; y < size.height; ++y)
      for (int x = 0; x < size.width; ++x)
        color(row_of(image, y) + 3 * x, indices[size_t(y) * size.width + x]);
    return image;
  }

  const size_t stride = (size_t(size.width) * h.bits + 31) / 32 * 4;
  const size_t last_row = (size_t(size.width) * h.bits + 7) / 8;
  if (!file.has(h.data_at, stride * (size.height - 1) + last_row)) return cut();
  if (h.compression == kBitfields && h.bits < 16)
    return bad_image(Format::bmp, "colour masks beside a palette");
  ByteOrder order{};
  bool six_green = false;
  if (h.bits == 16 && h.compression == kBitfields) {
    six_green = h.masks[0] == 0xf800 && h.masks[1] == 0x7e0 && h.masks[2] == 0x1f;
    if (!six_green && !(h.masks[0] == 0x7c00 && h.masks[1] == 0x3e0 && h.masks[2] == 0x1f))
      return bad_image(Format::bmp, "colour masks of an unusual layout");
  } else if (h.bits >= 24) {
    const Result<ByteOrder> found = order_of(h);
    if (!found) return found.fault();
    order = *found;
  }
  Image image(size.width, size.height);
  for (int y = 0; y < size.height; ++y) {
    const size_t at = h.data_at + stride * y;
    uint8_t* out = row_of(image, y);
    if (h.bits == 16) {
      row16(file, at, six_green, out, size.width);
    } else if (h.bits >= 24) {
      const auto* in = reinterpret_cast<const uint8_t*>(bytes.data()) + at;
      for (int x = 0; x < size.width; ++x, in += h.bits / 8, out += 3) {
        out[0] = in[order.red];
        out[1] = in[order.green];
        out[2] = in[order.blue];
      }
    } else {
      const uint32_t per_byte = 8 / h.bits, mask = (1u << h.bits) - 1;
      for (uint32_t x = 0; x < uint32_t(size.width); ++x, out += 3)
        color(out, file.u8(at + x / per_byte) >> (8 - h.bits * (x % per_byte + 1)) & mask);
    }
  }
  return image;
}

}  // namespace lmms::media
