#include "media/container.h"

namespace lmms::media {
namespace {

enum class Kind { iso, matroska, avi, gif, other };

Kind kind_of(const Reader& file) {
  for (const char* box : {"ftyp", "moov", "mdat", "wide", "free", "skip", "pnot"})
    if (file.starts(4, box)) return Kind::iso;
  if (file.starts(0, "\x1a\x45\xdf\xa3")) return Kind::matroska;
  if (file.starts(0, "RIFF") && file.starts(8, "AVI ")) return Kind::avi;
  if (file.starts(0, "GIF87a") || file.starts(0, "GIF89a")) return Kind::gif;
  return Kind::other;
}

uint64_t be64(const Reader& file, size_t at) {
  return uint64_t{file.be32(at)} << 32 | file.be32(at + 4);
}

/// Boxes of the outermost level, one behind the other. ISO 14496-12, 4.2.
bool iso_ends_early(const Reader& file) {
  for (size_t at = 0; at < file.size();) {
    if (!file.has(at, 8)) return false;  // a few bytes behind the last box are passed over
    uint64_t size = file.be32(at);
    if (size == 0) return false;  // to the end of the file
    if (size == 1) size = be64(file, at + 8);
    if (size < 8) return false;  // no box: padding
    if (size > file.size() - at) return true;
    at += size;
  }
  return false;
}

/// A number of EBML: the zeros before its first bit tell its length. RFC 8794, 4.
struct Vint {
  uint64_t value = 0;
  int length = 0;
  bool unknown = false;  ///< all bits set: the size was not known when it was written
};

Vint vint_at(const Reader& file, size_t at) {
  Vint number;
  const uint32_t first = file.u8(at);
  number.length = 1;
  while (number.length <= 8 && !(first & (0x100u >> number.length))) ++number.length;
  if (number.length > 8) return {};
  number.value = first & ((0x100u >> number.length) - 1);
  uint64_t most = (0x100u >> number.length) - 1;
  for (int i = 1; i < number.length; ++i) {
    number.value = number.value << 8 | file.u8(at + size_t(i));
    most = most << 8 | 0xff;
  }
  number.unknown = number.value == most;
  return number;
}

/// The header, then the segment with everything in it.
bool matroska_ends_early(const Reader& file) {
  constexpr size_t kId = 4;
  size_t at = 0;
  for (int element = 0; element < 8 && file.has(at, kId + 1); ++element) {
    if ((file.u8(at) & 0xf0) != 0x10) return false;  // not one with a name of four bytes
    const bool segment = file.be32(at) == 0x18538067;
    const Vint size = vint_at(file, at + kId);
    if (!size.length || size.unknown) return false;
    const size_t body = at + kId + size_t(size.length);
    if (body > file.size() || size.value > file.size() - body) return true;
    if (segment) return false;
    at = body + size.value;
  }
  return true;  // no segment
}

bool avi_ends_early(const Reader& file) {
  const uint64_t size = file.le32(4);
  return size > 8 && 8 + size > file.size();
}

/// Frames and extensions up to the trailer. A file that ends between two of them is taken as whole:
/// some writers leave the trailer out.
bool gif_ends_early(const Reader& file) {
  const auto table = [&](uint32_t flags) {
    return flags & 0x80 ? size_t{6} << (flags & 7) : size_t{0};
  };
  size_t at = 13 + table(file.u8(10));
  const auto after_blocks = [&](size_t from) {
    while (const uint32_t count = file.u8(from)) from += 1 + count;
    return from + 1;
  };
  while (at < file.size()) {
    const uint32_t what = file.u8(at);
    if (what == ';') return false;
    if (what == '!')
      at = after_blocks(at + 2);
    else if (what == ',')
      at = after_blocks(at + 11 + table(file.u8(at + 9)));
    else
      ++at;
  }
  return at != file.size();
}

}  // namespace

bool is_container(Bytes bytes) {
  return kind_of(Reader(bytes)) != Kind::other;
}

bool ends_early(Bytes bytes) {
  const Reader file(bytes);
  switch (kind_of(file)) {
    case Kind::iso:
      return iso_ends_early(file);
    case Kind::matroska:
      return matroska_ends_early(file);
    case Kind::avi:
      return avi_ends_early(file);
    case Kind::gif:
      return gif_ends_early(file);
    case Kind::other:
      break;
  }
  return false;
}

}  // namespace lmms::media
