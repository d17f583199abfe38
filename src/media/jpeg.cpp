/// JPEG by libjpeg-turbo, set as Pillow sets it: the accurate integer DCT, smooth upsampling (both
/// the library's defaults), and CMYK taken as Adobe writes it, inverted.
#include <csetjmp>
#include <cstdio>
#include <cstring>
#include <vector>
// after <cstdio>, which it needs
#include <jerror.h>
#include <jpeglib.h>

#include "core/format.h"
#include "media/codecs.h"

namespace lmms::media {
namespace {

/// A progressive file of a few KB can ask for hours of work by naming thousands of scans.
constexpr int kMostScans = 500;

struct Decompressor {
  jpeg_decompress_struct library;
  jpeg_error_mgr errors;
  jpeg_source_mgr source;
  jpeg_progress_mgr progress;
  std::jmp_buf on_error;
  char message[JMSG_LENGTH_MAX];
  bool ended;  // the bytes were not enough
};

Decompressor& self(j_common_ptr library) {
  return *static_cast<Decompressor*>(library->client_data);
}

[[noreturn]] void fail(j_common_ptr library) {
  Decompressor& d = self(library);
  if (!d.message[0]) d.errors.format_message(library, d.message);
  std::longjmp(d.on_error, 1);
}

void give_up(Decompressor& d) {
  d.ended = true;
  fail(reinterpret_cast<j_common_ptr>(&d.library));
}

void start(Decompressor& d, Bytes bytes) {
  std::memset(&d.library, 0, sizeof d.library);
  d.message[0] = 0;
  d.ended = false;
  d.library.err = jpeg_std_error(&d.errors);
  d.library.client_data = &d;
  d.errors.error_exit = fail;
  d.errors.output_message = [](j_common_ptr) {};
  d.source.next_input_byte = reinterpret_cast<const JOCTET*>(bytes.data());
  d.source.bytes_in_buffer = bytes.size();
  d.source.init_source = [](j_decompress_ptr) {};
  d.source.term_source = [](j_decompress_ptr) {};
  d.source.resync_to_restart = jpeg_resync_to_restart;
  d.source.fill_input_buffer = [](j_decompress_ptr l) -> boolean {
    give_up(self(reinterpret_cast<j_common_ptr>(l)));
    return FALSE;
  };
  d.source.skip_input_data = [](j_decompress_ptr l, long count) {
    if (count <= 0) return;
    if (size_t(count) > l->src->bytes_in_buffer) give_up(self(reinterpret_cast<j_common_ptr>(l)));
    l->src->next_input_byte += count;
    l->src->bytes_in_buffer -= size_t(count);
  };
  d.progress.progress_monitor = [](j_common_ptr l) {
    if (reinterpret_cast<j_decompress_ptr>(l)->input_scan_number <= kMostScans) return;
    std::snprintf(self(l).message, sizeof self(l).message, "more than %d scans", kMostScans);
    fail(l);
  };
}

/// Pillow's cmyk2rgb.
void cmyk_row_to_rgb(const uint8_t* in, uint8_t* out, int width) {
  for (int x = 0; x < width; ++x, in += 4, out += 3) {
    // Stored inverted: `in` holds 255 - c, 255 - m, 255 - y, 255 - k.
    const int light = in[3];
    for (int c = 0; c < 3; ++c) {
      const int product = (255 - in[c]) * light + 128;
      out[c] = uint8_t(light - ((product + (product >> 8)) >> 8));
    }
  }
}

/// Everything that libjpeg may jump out of: no object with a destructor lives here. `image` and
/// `row` are made beforehand; `row` holds one row of four components.
bool run(Decompressor& d, Bytes bytes, Image& image, uint8_t* row, bool cmyk) {
  if (setjmp(d.on_error)) {
    jpeg_destroy_decompress(&d.library);
    return false;
  }
  jpeg_create_decompress(&d.library);
  d.library.client_data = &d;
  d.library.src = &d.source;
  d.library.progress = &d.progress;
  (void)bytes;
  jpeg_read_header(&d.library, TRUE);
  if (int(d.library.image_width) != image.width() ||
      int(d.library.image_height) != image.height() || (d.library.num_components == 4) != cmyk) {
    std::snprintf(d.message, sizeof d.message, "two headers that contradict each other");
    fail(reinterpret_cast<j_common_ptr>(&d.library));
  }
  d.library.out_color_space = cmyk ? JCS_CMYK : JCS_RGB;
  jpeg_start_decompress(&d.library);
  while (d.library.output_scanline < d.library.output_height) {
    const int y = int(d.library.output_scanline);
    JSAMPROW to = cmyk ? row : image.row(y);
    jpeg_read_scanlines(&d.library, &to, 1);
    if (cmyk) cmyk_row_to_rgb(row, image.row(y), image.width());
  }
  jpeg_finish_decompress(&d.library);
  jpeg_destroy_decompress(&d.library);
  return true;
}

/// Calls `visit(marker, at, length)` for each segment up to the first scan, `at` being its content,
/// until it returns false. Returns false if the file ends first.
template <class Visit>
bool walk(const Reader& file, Visit visit) {
  for (size_t at = 2; file.has(at, 4);) {
    if (file.u8(at) != 0xff) {  // bytes between segments are passed over
      ++at;
      continue;
    }
    const uint32_t marker = file.u8(at + 1);
    if (marker == 0xff) {
      ++at;
      continue;
    }
    at += 2;
    if (marker == 0 || marker == 1 || (marker >= 0xd0 && marker <= 0xd8)) continue;
    if (marker == 0xd9 || marker == 0xda) return true;
    const size_t length = file.be16(at);
    if (length < 2 || !visit(marker, at + 2, length - 2)) return true;
    at += length;
  }
  return false;
}

struct Frame {
  int width = 0, height = 0, bits = 0, components = 0;
};

Result<Frame> frame_of(Bytes bytes) {
  const Reader file(bytes);
  Frame frame;
  bool cut = false;
  const bool whole = walk(file, [&](uint32_t marker, size_t at, size_t) {
    const bool is_frame =
        marker >= 0xc0 && marker <= 0xcf && marker != 0xc4 && marker != 0xc8 && marker != 0xcc;
    if (!is_frame) return true;
    cut = !file.has(at, 6);
    frame = {int(file.be16(at + 3)), int(file.be16(at + 1)), int(file.u8(at)),
             int(file.u8(at + 5))};
    return false;
  });
  if (cut || (!whole && !frame.components)) return cut_off(Format::jpeg, bytes.size());
  if (!frame.components) return bad_image(Format::jpeg, "no frame header before the first scan");
  if (frame.bits != 8)
    return bad_image(Format::jpeg,
                     fmt::format("{} bits a sample; only 8 are supported", frame.bits));
  if (frame.components != 1 && frame.components != 3 && frame.components != 4)
    return bad_image(Format::jpeg,
                     fmt::format("{} colour components; expected 1, 3 or 4", frame.components));
  return frame;
}

}  // namespace

Result<Size> jpeg_size(Bytes bytes) {
  const Result<Frame> frame = frame_of(bytes);
  if (!frame) return frame.fault();
  return Size{frame->width, frame->height};
}

Metadata jpeg_metadata(Bytes bytes) {
  constexpr std::string_view exif("Exif\0\0", 6), xmp("http://ns.adobe.com/xap/1.0/\0", 29);
  const Reader file(bytes);
  Metadata found;
  walk(file, [&](uint32_t marker, size_t at, size_t length) {
    if (marker != 0xe1) return true;
    // A long EXIF block goes on in the next segment.
    if (file.starts(at, exif) && length >= exif.size())
      found.exif += file.view(at + exif.size(), length - exif.size());
    else if (file.starts(at, xmp) && length >= xmp.size())
      found.xmp = file.view(at + xmp.size(), length - xmp.size());
    return true;
  });
  return found;
}

Result<Image> decode_jpeg(Bytes bytes, Size size) {
  const Result<Frame> frame = frame_of(bytes);
  if (!frame) return frame.fault();
  const bool cmyk = frame->components == 4;
  Image image(size.width, size.height);
  std::vector<uint8_t> row(cmyk ? size_t(size.width) * 4 : 0);
  auto decompressor = std::make_unique<Decompressor>();
  start(*decompressor, bytes);
  if (run(*decompressor, bytes, image, row.data(), cmyk)) return image;
  if (decompressor->ended) return cut_off(Format::jpeg, bytes.size());
  return bad_image(Format::jpeg, decompressor->message);
}

}  // namespace lmms::media
