#include "checkpoint/checksums.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <optional>
#include <thread>

#include "core/threads.h"

namespace lmms::checkpoint {
namespace fs = std::filesystem;
namespace {

void add_number(Hash64& hash, uint64_t value) {
  std::array<std::byte, 8> bytes;
  for (size_t i = 0; i < bytes.size(); ++i) bytes[i] = std::byte(value >> (8 * i) & 0xff);
  hash.add(bytes);
}

class Descriptor {
 public:
  explicit Descriptor(const fs::path& path) : fd_(::open(path.c_str(), O_RDONLY | O_CLOEXEC)) {}
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  operator int() const { return fd_; }

 private:
  int fd_;
};

Fault unreadable(const fs::path& path) {
  return {path.string(), std::string("cannot be read: ") + std::strerror(errno), ""};
}

Result<uint64_t> size_of_file(const fs::path& path) {
  struct stat info {};
  if (::stat(path.c_str(), &info) != 0) return unreadable(path);
  if (!S_ISREG(info.st_mode)) return Fault{path.string(), "is not a regular file", ""};
  return static_cast<uint64_t>(info.st_size);
}

/// Read, not mapped: a bad sector is a fault of its file here, and would end the program there.
Result<uint64_t> hash_piece(const fs::path& path, uint64_t begin, uint64_t end,
                            std::vector<std::byte>& buffer) {
  const Descriptor file(path);
  if (file < 0) return unreadable(path);
  Hash64 hash;
  while (begin < end) {
    const ssize_t n = ::pread(file, buffer.data(), std::min<uint64_t>(buffer.size(), end - begin),
                              static_cast<off_t>(begin));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return unreadable(path);
    if (n == 0) return Fault{path.string(), "became shorter while it was read", ""};
    hash.add(std::span(buffer).first(static_cast<size_t>(n)));
    begin += static_cast<uint64_t>(n);
  }
  return hash.value();
}

struct Piece {
  size_t file = 0;
  uint64_t begin = 0, end = 0;
  uint64_t hash = 0;
  std::optional<Fault> fault;
};

}  // namespace

void SumOfBytes::close_piece() {
  add_number(pieces_, piece_.value());
  piece_ = Hash64();
  in_piece_ = 0;
}

void SumOfBytes::add(std::span<const std::byte> bytes) {
  bytes_ += bytes.size();
  while (!bytes.empty()) {
    const auto n =
        static_cast<size_t>(std::min<uint64_t>(bytes.size(), kChecksumPiece - in_piece_));
    piece_.add(bytes.first(n));
    bytes = bytes.subspan(n);
    in_piece_ += n;
    if (in_piece_ == kChecksumPiece) close_piece();
  }
}

FileSum SumOfBytes::finish() {
  if (in_piece_ > 0) close_piece();
  return {bytes_, pieces_.value()};
}

void SummedFile::write(std::span<const std::byte> bytes) {
  sum_.add(bytes);
  file_.write(bytes);
}

void SummedFile::write(std::string_view text) {
  write(std::as_bytes(std::span(text.data(), text.size())));
}

FileSum SummedFile::finish() {
  file_.sync();
  file_.close();
  return sum_.finish();
}

std::vector<Result<FileSum>> sums_of(const std::vector<fs::path>& files, unsigned threads) {
  std::vector<Result<uint64_t>> sizes;
  std::vector<Piece> pieces;
  for (size_t f = 0; f < files.size(); ++f) {
    sizes.push_back(size_of_file(files[f]));
    if (!sizes[f]) continue;
    for (uint64_t begin = 0; begin < *sizes[f]; begin += kChecksumPiece)
      pieces.push_back({f, begin, std::min(begin + kChecksumPiece, *sizes[f]), 0, std::nullopt});
  }

  std::atomic<size_t> next{0};
  const auto work = [&] {
    std::vector<std::byte> buffer(size_t{1} << 20);
    for (size_t i = next++; i < pieces.size(); i = next++) {
      Piece& piece = pieces[i];
      const auto hash = hash_piece(files[piece.file], piece.begin, piece.end, buffer);
      if (hash)
        piece.hash = *hash;
      else
        piece.fault = hash.fault();
    }
  };
  if (threads == 0) threads = std::clamp(std::thread::hardware_concurrency(), 1u, 16u);
  {
    std::vector<std::jthread> workers;
    for (size_t t = 1; t < std::min<size_t>(threads, pieces.size()); ++t)
      workers.emplace_back([&] {
        name_this_thread("checksums");
        work();
      });
    work();
  }

  std::vector<Result<FileSum>> sums;
  auto piece = pieces.begin();
  for (size_t f = 0; f < files.size(); ++f) {
    std::optional<Fault> fault;
    if (!sizes[f]) fault = sizes[f].fault();
    Hash64 all;
    for (; piece != pieces.end() && piece->file == f; ++piece) {
      if (piece->fault && !fault) fault = piece->fault;
      add_number(all, piece->hash);
    }
    if (fault)
      sums.emplace_back(std::move(*fault));
    else
      sums.emplace_back(FileSum{*sizes[f], all.value()});
  }
  return sums;
}

}  // namespace lmms::checkpoint
