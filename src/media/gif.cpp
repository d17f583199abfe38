/// The first frame of a GIF, as Pillow shows it: on a canvas of the transparent colour, which has
/// the colour that the palette gives it. Source: GIF89a specification.
#include <algorithm>
#include <array>
#include <cstring>
#include <vector>

#include "core/format.h"
#include "media/codecs.h"

namespace lmms::media {
namespace {

struct Palette {
  std::array<uint8_t, 768> rgb;
};

/// Where the first frame stands and what it is painted with.
struct Frame {
  Size canvas;
  int x = 0, y = 0, width = 0, height = 0;
  bool interlaced = false;
  int transparent = 0;
  size_t palette_at = 0, palette_colors = 0;  // 0 colours: shades of gray
  int code_bits = 0;
  size_t data_at = 0;
};

/// Skips sub-blocks; returns where the next thing stands.
size_t after_blocks(const Reader& file, size_t at) {
  while (file.u8(at)) at += 1 + file.u8(at);
  return at + 1;
}

Result<Frame> first_frame(Bytes bytes) {
  const Reader file(bytes);
  const auto cut = [&] { return cut_off(Format::gif, bytes.size()); };
  if (!file.has(0, 13)) return cut();
  Frame frame;
  frame.canvas = {int(file.le16(6)), int(file.le16(8))};
  size_t at = 13;
  if (const uint32_t flags = file.u8(10); flags & 0x80) {
    frame.palette_at = at;
    frame.palette_colors = size_t{2} << (flags & 7);
    at += 3 * frame.palette_colors;
  }
  for (;;) {
    if (!file.has(at, 1)) return cut();
    const uint32_t what = file.u8(at++);
    if (what == ';') return bad_image(Format::gif, "it holds no image");
    if (what == '!') {
      if (file.u8(at) == 0xf9 && file.u8(at + 1) >= 4 && (file.u8(at + 2) & 1))
        frame.transparent = int(file.u8(at + 5));
      at = after_blocks(file, at + 1);
    } else if (what == ',') {
      break;
    }  // other bytes are passed over
  }
  if (!file.has(at, 10)) return cut();
  frame.x = int(file.le16(at));
  frame.y = int(file.le16(at + 2));
  frame.width = int(file.le16(at + 4));
  frame.height = int(file.le16(at + 6));
  const uint32_t flags = file.u8(at + 8);
  frame.interlaced = flags & 0x40;
  at += 9;
  if (flags & 0x80) {
    frame.palette_at = at;
    frame.palette_colors = size_t{2} << (flags & 7);
    at += 3 * frame.palette_colors;
  }
  if (!file.has(at, 1)) return cut();
  frame.code_bits = int(file.u8(at));
  frame.data_at = at + 1;
  // A frame that is larger than the screen enlarges it.
  frame.canvas.width = std::max(frame.canvas.width, frame.x + frame.width);
  frame.canvas.height = std::max(frame.canvas.height, frame.y + frame.height);
  return frame;
}

Palette palette_of(const Reader& file, const Frame& frame) {
  Palette palette;
  for (int i = 0; i < 256; ++i) std::memset(&palette.rgb[3 * i], frame.palette_colors ? 0 : i, 3);
  const std::string_view colors = file.view(frame.palette_at, 3 * frame.palette_colors);
  std::copy(colors.begin(), colors.end(), palette.rgb.begin());
  return palette;
}

/// Variable-length codes out of sub-blocks, lowest bit first.
class CodeReader {
 public:
  CodeReader(const Reader& file, size_t at) : file_(file), at_(at) {}
  /// The next code; -1 where the file ends.
  int next(int bits) {
    while (count_ < bits) {
      if (!left_) {
        if (!file_.has(at_, 1)) return -1;
        left_ = file_.u8(at_++);
        if (!left_) continue;  // Pillow goes on after an empty block, too
      }
      if (!file_.has(at_, 1)) return -1;
      held_ |= file_.u8(at_++) << count_;
      count_ += 8;
      --left_;
    }
    const int code = int(held_ & ((1u << bits) - 1));
    held_ >>= bits;
    count_ -= bits;
    return code;
  }

 private:
  const Reader& file_;
  size_t at_;
  uint32_t left_ = 0, held_ = 0;
  int count_ = 0;
};

enum class Outcome { whole, ends, broken };

/// LZW: fills `out`. Stops when it is full.
Outcome unpack(CodeReader codes, int code_bits, std::vector<uint8_t>& out) {
  constexpr int kCodes = 4096;
  const int clear = 1 << code_bits, end = clear + 1;
  std::array<uint16_t, kCodes> prefix{};
  std::array<uint8_t, kCodes> last{};
  std::array<uint8_t, kCodes> reversed{};
  int bits = code_bits + 1, next = clear + 2, previous = -1;
  uint8_t first = 0;
  size_t filled = 0;
  while (filled < out.size()) {
    const int code = codes.next(bits);
    if (code < 0) return Outcome::ends;
    if (code == clear) {
      bits = code_bits + 1;
      next = clear + 2;
      previous = -1;
      continue;
    }
    if (code == end) return Outcome::ends;
    if (previous < 0) {
      if (code > clear) return Outcome::broken;
      first = uint8_t(code);
      out[filled++] = first;
      previous = code;
      continue;
    }
    if (code > next) return Outcome::broken;
    int length = 0;
    int walk = code;
    if (code == next) {  // the word that is being made: the previous one and its own first byte
      reversed[length++] = first;
      walk = previous;
    }
    while (walk >= clear) {
      if (length >= kCodes - 1) return Outcome::broken;
      reversed[length++] = last[walk];
      walk = prefix[walk];
    }
    first = uint8_t(walk);
    reversed[length++] = first;
    while (length && filled < out.size()) out[filled++] = reversed[--length];
    if (next < kCodes) {
      prefix[next] = uint16_t(previous);
      last[next] = first;
      if (++next == 1 << bits && bits < 12) ++bits;
    }
    previous = code;
  }
  return Outcome::whole;
}

/// The row of the frame that the i-th stored row is.
std::vector<int> row_order(int height, bool interlaced) {
  std::vector<int> order;
  order.reserve(height);
  if (interlaced) {
    constexpr int starts[] = {0, 4, 2, 1}, steps[] = {8, 8, 4, 2};
    for (int pass = 0; pass < 4; ++pass)
      for (int y = starts[pass]; y < height; y += steps[pass]) order.push_back(y);
  } else {
    for (int y = 0; y < height; ++y) order.push_back(y);
  }
  return order;
}

}  // namespace

Result<Size> gif_size(Bytes bytes) {
  const Result<Frame> frame = first_frame(bytes);
  if (!frame) return frame.fault();
  return frame->canvas;
}

Result<Image> decode_gif(Bytes bytes, Size size) {
  const Result<Frame> found = first_frame(bytes);
  if (!found) return found.fault();
  const Frame& frame = *found;
  if (frame.code_bits < 1 || frame.code_bits > 11)
    return bad_image(Format::gif, fmt::format("codes of {} bits", frame.code_bits));
  const Reader file(bytes);
  std::vector<uint8_t> indices(size_t(frame.width) * frame.height);
  switch (unpack(CodeReader(file, frame.data_at), frame.code_bits, indices)) {
    case Outcome::whole:
      break;
    case Outcome::ends:
      return cut_off(Format::gif, bytes.size());
    case Outcome::broken:
      return bad_image(Format::gif, "a code that no earlier one has made");
  }
  const Palette palette = palette_of(file, frame);
  Image image(size.width, size.height);
  const uint8_t* ground = &palette.rgb[3 * frame.transparent];
  if (frame.width != size.width || frame.height != size.height)
    for (uint8_t *out = image.pixels().data(), *end = out + image.pixels().size(); out < end;
         out += 3)
      std::memcpy(out, ground, 3);
  const std::vector<int> order = row_order(frame.height, frame.interlaced);
  for (int i = 0; i < frame.height; ++i) {
    const uint8_t* in = indices.data() + size_t(i) * frame.width;
    uint8_t* out = image.row(frame.y + order[i]) + 3 * frame.x;
    for (int x = 0; x < frame.width; ++x, out += 3) std::memcpy(out, &palette.rgb[3 * in[x]], 3);
  }
  return image;
}

}  // namespace lmms::media
