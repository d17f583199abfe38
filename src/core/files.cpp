#include "core/files.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace lmms {
namespace fs = std::filesystem;
namespace {

std::string reason() {
  return std::strerror(errno);
}

[[noreturn]] void fail(const fs::path& path, const char* doing) {
  const bool full = errno == ENOSPC || errno == EDQUOT;
  throw Error(
      path.string(), std::string(doing) + " failed: " + reason(),
      full ? "free space on this disk, or write to another (trainer_args.output_dir); what was "
             "saved before is whole"
           : "check that the folder exists and may be written",
      Exit::failed);
}

void write_all(int fd, const fs::path& path, std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t n = ::write(fd, bytes.data(), std::min<size_t>(bytes.size(), size_t{1} << 30));
    if (n < 0) {
      if (errno == EINTR) continue;
      fail(path, "writing");
    }
    bytes = bytes.subspan(static_cast<size_t>(n));
  }
}

}  // namespace

Result<MappedFile> MappedFile::open(const fs::path& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return Fault{path.string(), "cannot be opened: " + reason(), ""};
  struct stat info {};
  if (::fstat(fd, &info) != 0 || !S_ISREG(info.st_mode)) {
    ::close(fd);
    return Fault{path.string(),
                 S_ISDIR(info.st_mode) ? "is a folder; expected a file" : "is not a regular file",
                 ""};
  }
  const auto size = static_cast<size_t>(info.st_size);
  if (size == 0) {
    ::close(fd);
    return MappedFile(nullptr, 0);
  }
  void* data = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, fd, 0);
  ::close(fd);
  if (data == MAP_FAILED) return Fault{path.string(), "cannot be mapped: " + reason(), ""};
  return MappedFile(static_cast<const std::byte*>(data), size);
}

MappedFile::MappedFile(MappedFile&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}

MappedFile& MappedFile::operator=(MappedFile&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  return *this;
}

MappedFile::~MappedFile() {
  if (data_ != nullptr) ::munmap(const_cast<std::byte*>(data_), size_);
}

Result<std::string> read_file(const fs::path& path) {
  auto mapped = MappedFile::open(path);
  if (!mapped) return mapped.fault();
  return std::string(mapped->text());
}

bool ends_inside_a_line(const fs::path& path) {
  const auto file = MappedFile::open(path);
  return file && !file->text().empty() && file->text().back() != '\n';
}

OutputFile::OutputFile(fs::path path, Open mode, Readers readers) : path_(std::move(path)) {
  const mode_t permissions = readers == Readers::owner ? 0600 : 0644;
  fd_ = ::open(path_.c_str(),
               O_WRONLY | O_CREAT | O_CLOEXEC | (mode == Open::append ? O_APPEND : O_TRUNC),
               permissions);
  if (fd_ < 0) fail(path_, "opening for writing");
  // one that was there keeps its permissions otherwise
  if (readers == Readers::owner && ::fchmod(fd_, permissions) != 0) {
    const int why = errno;
    ::close(std::exchange(fd_, -1));
    errno = why;
    fail(path_, "making it private");
  }
}

OutputFile::OutputFile(OutputFile&& other) noexcept
    : path_(std::move(other.path_)), fd_(std::exchange(other.fd_, -1)) {}

OutputFile::~OutputFile() {
  if (fd_ >= 0) ::close(fd_);
}

void OutputFile::write(std::span<const std::byte> bytes) {
  write_all(fd_, path_, bytes);
}

void OutputFile::write(std::string_view text) {
  write(std::as_bytes(std::span(text.data(), text.size())));
}

void OutputFile::write_at(uint64_t offset, std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t n = ::pwrite(fd_, bytes.data(), std::min<size_t>(bytes.size(), size_t{1} << 30),
                               static_cast<off_t>(offset));
    if (n < 0) {
      if (errno == EINTR) continue;
      fail(path_, "writing");
    }
    bytes = bytes.subspan(static_cast<size_t>(n));
    offset += static_cast<uint64_t>(n);
  }
}

void OutputFile::sync() {
  if (::fsync(fd_) != 0) fail(path_, "fsync");
}

void OutputFile::close() {
  if (fd_ >= 0 && ::close(std::exchange(fd_, -1)) != 0) fail(path_, "closing");
}

void write_atomically(const fs::path& path, std::string_view text, Readers readers) {
  fs::path temporary = path;
  temporary += ".tmp";
  try {
    OutputFile file(temporary, OutputFile::Open::truncate, readers);
    file.write(text);
    file.sync();
    file.close();
    if (::rename(temporary.c_str(), path.c_str()) != 0) fail(path, "renaming into place");
  } catch (const Error&) {
    std::error_code ignored;
    fs::remove(temporary, ignored);
    throw;
  }
  sync_directory(path.has_parent_path() ? path.parent_path() : fs::path("."));
}

void sync_directory(const fs::path& dir) {
  const int fd = ::open(dir.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) fail(dir, "opening the folder");
  const bool failed =
      ::fsync(fd) != 0 && errno != EINVAL;  // EINVAL: the file system has no such thing
  const int why = errno;
  ::close(fd);
  errno = why;
  if (failed) fail(dir, "fsync of the folder");
}

}  // namespace lmms
