/// WebP by libwebp's animation decoder, as Pillow uses it: the first frame on its canvas, alpha
/// dropped.
#include <webp/decode.h>
#include <webp/demux.h>

#include "core/format.h"
#include "media/codecs.h"

namespace lmms::media {
namespace {

struct DeleteDecoder {
  void operator()(WebPAnimDecoder* decoder) const { WebPAnimDecoderDelete(decoder); }
};

/// Calls `visit(name, content)` for each RIFF chunk that is whole.
template <class Visit>
void walk(const Reader& file, Visit visit) {
  for (size_t at = 12; file.has(at, 8);) {
    const size_t length = file.le32(at + 4);
    if (!file.has(at + 8, length)) return;
    visit(file.view(at, 4), file.view(at + 8, length));
    at += 8 + length + (length & 1);
  }
}

bool is_cut_off(Bytes bytes) {
  const Reader file(bytes);
  return file.size() < 12 || file.size() - 8 < file.le32(4);
}

}  // namespace

Result<Size> webp_size(Bytes bytes) {
  const Reader file(bytes);
  if (!file.has(0, 30) && is_cut_off(bytes)) return cut_off(Format::webp, bytes.size());
  if (file.starts(12, "VP8X")) return Size{int(file.le24(24)) + 1, int(file.le24(27)) + 1};
  if (file.starts(12, "VP8 ") && file.starts(23, "\x9d\x01\x2a"))
    return Size{int(file.le16(26) & 0x3fff), int(file.le16(28) & 0x3fff)};
  if (file.starts(12, "VP8L") && file.u8(20) == 0x2f)
    return Size{int(file.le32(21) & 0x3fff) + 1, int(file.le32(21) >> 14 & 0x3fff) + 1};
  return bad_image(Format::webp, "no frame header at its front");
}

Metadata webp_metadata(Bytes bytes) {
  Metadata found;
  walk(Reader(bytes), [&](std::string_view name, std::string_view content) {
    if (name == "EXIF" && found.exif.empty()) found.exif = content;
    if (name == "XMP " && found.xmp.empty()) found.xmp = content;
  });
  return found;
}

Result<Image> decode_webp(Bytes bytes, Size size) {
  const auto fault = [&](const char* what) {
    return is_cut_off(bytes) ? cut_off(Format::webp, bytes.size()) : bad_image(Format::webp, what);
  };
  WebPAnimDecoderOptions options;
  if (!WebPAnimDecoderOptionsInit(&options))
    return bad_image(Format::webp, "libwebp is of another version");
  options.color_mode = MODE_RGBA;
  options.use_threads = 0;  // the loader has threads of its own
  const WebPData data{reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()};
  const std::unique_ptr<WebPAnimDecoder, DeleteDecoder> decoder(
      WebPAnimDecoderNew(&data, &options));
  if (!decoder) return fault("its chunks cannot be read");
  WebPAnimInfo info;
  if (!WebPAnimDecoderGetInfo(decoder.get(), &info)) return fault("its chunks cannot be read");
  if (int(info.canvas_width) != size.width || int(info.canvas_height) != size.height)
    return bad_image(Format::webp, "two headers that contradict each other");
  uint8_t* canvas = nullptr;
  int timestamp = 0;
  if (!WebPAnimDecoderGetNext(decoder.get(), &canvas, &timestamp))
    return fault("its first frame cannot be decoded");
  Image image(size.width, size.height);
  uint8_t* out = image.pixels().data();
  for (const uint8_t* in = canvas, *end = canvas + size_t(size.width) * size.height * 4; in < end;
       in += 4, out += 3) {
    out[0] = in[0];
    out[1] = in[1];
    out[2] = in[2];
  }
  return image;
}

}  // namespace lmms::media
