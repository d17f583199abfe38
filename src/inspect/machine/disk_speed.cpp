#include "inspect/machine/disk_speed.h"

#include <fcntl.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <random>
#include <system_error>

#include "core/format.h"

namespace lmms::inspect {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

constexpr int64_t kBlock = 4 << 20;
constexpr int64_t kAlignment = 4096;  // that O_DIRECT asks for

struct Descriptor {
  int fd = -1;
  ~Descriptor() {
    if (fd >= 0) ::close(fd);
  }
};

struct Free {
  void operator()(void* p) const noexcept { std::free(p); }
};
using Block = std::unique_ptr<char[], Free>;

std::string reason(int error) {
  return std::error_code(error, std::generic_category()).message();
}

fs::path full_path(const fs::path& folder) {
  std::error_code failure;
  const fs::path path =
      fs::absolute(folder.empty() ? fs::path(".") : folder, failure).lexically_normal();
  if (failure) return folder;
  return path.has_filename() || !path.has_relative_path() ? path : path.parent_path();
}

fs::path nearest_existing(fs::path path) {
  std::error_code failure;
  while (!fs::exists(path, failure) && path.has_relative_path()) path = path.parent_path();
  return path;
}

std::string name_of(long type) {
  constexpr std::pair<long, const char*> kNames[] = {
      {0xEF53, "ext4"},          {0x58465342, "xfs"},   {0x9123683E, "btrfs"},
      {0x794C7630, "overlayfs"}, {0x01021994, "tmpfs"}, {0x858458F6, "ramfs"},
      {0x6969, "nfs"},           {0x65735546, "fuse"},  {0x0BD00BD0, "lustre"},
      {0x2FC12FC1, "zfs"},       {0x01021997, "9p"},    {0xFF534D42, "cifs"},
      {0xFE534D42, "smb2"},      {0x47504653, "gpfs"},  {0xF2F52010, "f2fs"},
      {0x00C36400, "ceph"},      {0x19830326, "fhgfs"}, {0xCA451A4E, "bcachefs"},
      {0x6a656a63, "virtiofs"},
  };
  for (const auto& [number, name] : kNames) {
    if (number == (type & 0xFFFFFFFFL)) return name;
  }
  return "";
}

// A file without a name. Where the file system has none, its name is gone before anything is
// written.
int open_nameless(const fs::path& folder) {
  const int fd = ::open(folder.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
  if (fd >= 0 || (errno != EOPNOTSUPP && errno != EISDIR && errno != ENOENT)) return fd;
  std::string name = (folder / ".lmms-doctor-XXXXXX").string();
  const int named = ::mkostemp(name.data(), O_CLOEXEC);
  if (named >= 0) ::unlink(name.c_str());
  return named;
}

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

// Random bytes: some disks and file systems compress.
Block random_block() {
  Block block(static_cast<char*>(std::aligned_alloc(kAlignment, kBlock)));
  if (!block) return block;
  std::mt19937_64 random(1);
  for (int64_t i = 0; i < kBlock; i += 8) {
    const uint64_t word = random();
    std::memcpy(block.get() + i, &word, 8);
  }
  return block;
}

// Writes as a checkpoint is written, through the cache and then fsync; but by growing portions, so
// that a slow disk does not take minutes for what the cache took at once. Returns the bytes on
// disk.
int64_t write_file(int fd, const Block& block, int64_t most, const DiskEffort& effort,
                   DiskFacts& facts) {
  const auto start = Clock::now();
  int64_t written = 0;
  for (int64_t goal = kBlock; written < most && Clock::now() - start < effort.time; goal *= 2) {
    const int64_t end = std::min(most, written + goal);
    while (written < end) {
      const ssize_t n = ::write(fd, block.get(), std::min(kBlock, end - written));
      if (n <= 0) {
        if (n < 0 && errno == EINTR) continue;
        if (n < 0 && errno == EFBIG) return 0;  // a limit of the process, not of the disk
        facts.trouble = fmt::format("writing failed after {} bytes: {}", written,
                                    n < 0 ? reason(errno) : "nothing more was taken");
        return 0;
      }
      written += n;
    }
    if (::fsync(fd) != 0 && errno != EINVAL) {
      facts.trouble = "fsync failed: " + reason(errno);
      return 0;
    }
  }
  const double seconds = seconds_since(start);
  if (written > 0 && seconds > 0) facts.write_speed = static_cast<double>(written) / seconds;
  return written;
}

// Past the cache, or not at all: its speed is not the disk's.
void read_file_back(int fd, const Block& block, int64_t bytes, const DiskEffort& effort,
                    DiskFacts& facts) {
  const int flags = ::fcntl(fd, F_GETFL);
  if (flags < 0 || ::fcntl(fd, F_SETFL, flags | O_DIRECT) != 0) return;
  const auto start = Clock::now();
  int64_t done = 0;
  while (done < bytes && Clock::now() - start < effort.time) {
    const ssize_t n = ::pread(fd, block.get(), kBlock, done);
    if (n <= 0) return;
    done += n;
  }
  const double seconds = seconds_since(start);
  if (done > 0 && seconds > 0) facts.read_speed = static_cast<double>(done) / seconds;
}

}  // namespace

DiskFacts measure_disk(const fs::path& folder, const DiskEffort& effort) {
  DiskFacts facts;
  facts.asked = full_path(folder);
  facts.measured = nearest_existing(facts.asked);
  struct statfs type {};
  if (::statfs(facts.measured.c_str(), &type) == 0)
    facts.file_system = name_of(static_cast<long>(type.f_type));
  struct statvfs room {};
  if (::statvfs(facts.measured.c_str(), &room) == 0) {
    facts.total_bytes = static_cast<int64_t>(room.f_blocks * room.f_frsize);
    facts.free_bytes = static_cast<int64_t>(room.f_bavail * room.f_frsize);
  }
  std::error_code failure;
  if (!fs::is_directory(facts.measured, failure)) {
    facts.trouble = "is no folder";
    return facts;
  }
  const Descriptor file{open_nameless(facts.measured)};
  if (file.fd < 0) {
    facts.trouble = "no file can be created: " + reason(errno);
    return facts;
  }
  const Block block = random_block();
  if (!block) return facts;
  const int64_t most = std::min(effort.bytes, facts.free_bytes / 8);
  const int64_t written = write_file(file.fd, block, most / kAlignment * kAlignment, effort, facts);
  read_file_back(file.fd, block, written, effort, facts);
  return facts;
}

}  // namespace lmms::inspect
