#include "checkpoint/zip.h"

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <optional>

#include "checkpoint/printable.h"
#include "core/format.h"

namespace lmms::checkpoint {
namespace {

using Bytes = std::span<const std::byte>;

constexpr uint32_t kLocal = 0x04034b50, kCentral = 0x02014b50, kEnd = 0x06054b50,
                   kEnd64 = 0x06064b50, kLocator64 = 0x07064b50;
constexpr size_t kLocalSize = 30, kCentralSize = 46, kEndSize = 22, kEnd64Size = 56,
                 kLocator64Size = 20;
constexpr uint16_t kExtra64 = 1;
constexpr const char* kAgain = "the file is incomplete or damaged: copy or download it again";

template <class T>
T number(Bytes bytes, size_t at) {
  T value;  // little-endian, as every machine that this runs on
  std::memcpy(&value, bytes.data() + at, sizeof(T));
  return value;
}

// `size` bytes from `at` on, if the file has them.
std::optional<Bytes> part(Bytes file, uint64_t at, uint64_t size) {
  if (at > file.size() || size > file.size() - at) return std::nullopt;
  return file.subspan(at, size);
}

struct Directory {
  uint64_t entries = 0, size = 0, offset = 0;
};

// Where the record at the end of the file is; a comment may stand behind it.
std::optional<size_t> end_record(Bytes file) {
  if (file.size() < kEndSize) return std::nullopt;
  const size_t last = file.size() - kEndSize, first = last > 0xffff ? last - 0xffff : 0;
  for (size_t at = last + 1; at-- > first;) {
    if (number<uint32_t>(file, at) == kEnd &&
        number<uint16_t>(file, at + 20) == file.size() - at - kEndSize)
      return at;
  }
  return std::nullopt;
}

std::optional<Directory> directory(Bytes file) {
  const auto end = end_record(file);
  if (!end) return std::nullopt;
  const Directory narrow{number<uint16_t>(file, *end + 10), number<uint32_t>(file, *end + 12),
                         number<uint32_t>(file, *end + 16)};
  if (*end < kLocator64Size || number<uint32_t>(file, *end - kLocator64Size) != kLocator64)
    return narrow;
  const auto wide = part(file, number<uint64_t>(file, *end - kLocator64Size + 8), kEnd64Size);
  if (!wide || number<uint32_t>(*wide, 0) != kEnd64) return std::nullopt;
  return Directory{number<uint64_t>(*wide, 32), number<uint64_t>(*wide, 40),
                   number<uint64_t>(*wide, 48)};
}

struct Member {
  uint16_t method = 0;
  uint64_t stored = 0, size = 0, local = 0;
};

// What the 64-bit field among the extra ones says, in place of numbers that are all ones.
bool widen(Member& member, Bytes extra) {
  while (extra.size() >= 4) {
    const auto id = number<uint16_t>(extra, 0);
    const size_t length = number<uint16_t>(extra, 2);
    if (length > extra.size() - 4) return false;
    if (id == kExtra64) {
      Bytes field = extra.subspan(4, length);
      for (uint64_t* value : {&member.size, &member.stored, &member.local}) {
        if (*value != 0xffffffff) continue;
        if (field.size() < 8) return false;
        *value = number<uint64_t>(field, 0);
        field = field.subspan(8);
      }
    }
    extra = extra.subspan(4 + length);
  }
  return true;
}

// The bytes of a member, behind its own header.
std::optional<Bytes> contents(Bytes file, const Member& member) {
  const auto header = part(file, member.local, kLocalSize);
  if (!header || number<uint32_t>(*header, 0) != kLocal) return std::nullopt;
  const uint64_t names = uint64_t{number<uint16_t>(*header, 26)} + number<uint16_t>(*header, 28);
  return part(file, member.local + kLocalSize + names, member.stored);
}

}  // namespace

Result<ZipMembers> read_zip(Bytes file, const std::string& where) {
  const auto listed = directory(file);
  if (!listed) return Fault{where, "is no whole zip archive: its end is missing", kAgain};
  const auto found = part(file, listed->offset, listed->size);
  if (!found) return Fault{where, "the archive's directory lies outside of the file", kAgain};
  ZipMembers members;
  Bytes rest = *found;
  for (uint64_t i = 0; i < listed->entries; ++i) {
    const Fault broken{where, fmt::format("entry {} of the archive's directory is broken", i),
                       kAgain};
    if (rest.size() < kCentralSize || number<uint32_t>(rest, 0) != kCentral) return broken;
    Member member{number<uint16_t>(rest, 10), number<uint32_t>(rest, 20),
                  number<uint32_t>(rest, 24), number<uint32_t>(rest, 42)};
    const size_t name_size = number<uint16_t>(rest, 28), extra = number<uint16_t>(rest, 30),
                 all = kCentralSize + name_size + extra + number<uint16_t>(rest, 32);
    if (rest.size() < all || !widen(member, rest.subspan(kCentralSize + name_size, extra)))
      return broken;
    const std::string name(reinterpret_cast<const char*>(rest.data()) + kCentralSize, name_size);
    rest = rest.subspan(all);
    if (member.method != 0 || member.stored != member.size) {
      return Fault{where, fmt::format("member {} is compressed", printable(name)),
                   "write it without compression, as torch.save and numpy.savez do"};
    }
    const auto bytes = contents(file, member);
    if (!bytes)
      return Fault{where, fmt::format("member {} lies outside of the file", printable(name)),
                   kAgain};
    if (!members.emplace(name, *bytes).second)
      return Fault{where, fmt::format("two members are called {}", printable(name)), kAgain};
  }
  return members;
}

}  // namespace lmms::checkpoint
