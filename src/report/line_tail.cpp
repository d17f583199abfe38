#include "report/line_tail.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

namespace lmms::report {
namespace {

constexpr size_t kProof = 64;
constexpr size_t kChunk = size_t{1} << 20;
constexpr size_t kLongestLine = size_t{64} << 20;

struct Descriptor {
  int fd;
  explicit Descriptor(const std::filesystem::path& path)
      : fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)) {}
  ~Descriptor() {
    if (fd >= 0) ::close(fd);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;

  /// What is there, up to `size` bytes.
  std::string read(uint64_t offset, size_t size) const {
    std::string out(size, '\0');
    size_t done = 0;
    while (done < size) {
      const ssize_t n =
          ::pread(fd, out.data() + done, size - done, static_cast<off_t>(offset + done));
      if (n < 0 && errno == EINTR) continue;
      if (n <= 0) break;
      done += static_cast<size_t>(n);
    }
    out.resize(done);
    return out;
  }
};

}  // namespace

LineTail::Change LineTail::read(const std::function<void()>& on_replaced,
                                const std::function<void(std::string_view)>& line) {
  const Descriptor file(path_);
  struct stat info {};
  if (file.fd < 0 || ::fstat(file.fd, &info) != 0 || !S_ISREG(info.st_mode)) {
    const bool was_there = std::exchange(exists_, false);
    *this = LineTail(path_);
    if (was_there) on_replaced();
    return was_there ? Change::replaced : Change::none;
  }
  const auto size = static_cast<uint64_t>(info.st_size);
  Change change = Change::none;
  const bool same = exists_ && device_ == info.st_dev && inode_ == info.st_ino && size >= offset_ &&
                    file.read(offset_ - before_.size(), before_.size()) == before_;
  if (!same) {
    *this = LineTail(path_);
    on_replaced();
    change = Change::replaced;
  }
  exists_ = true;
  device_ = info.st_dev;
  inode_ = info.st_ino;
  modified_ = static_cast<double>(info.st_mtim.tv_sec) + 1e-9 * info.st_mtim.tv_nsec;

  size_t chunk = kChunk;
  while (offset_ < size) {
    const std::string text = file.read(offset_, chunk);
    const size_t last = text.rfind('\n');
    if (last == text.npos) {
      if (text.size() < chunk) break;  // the rest of the line is not there yet
      if (chunk < kLongestLine) {
        chunk *= 2;
        continue;
      }
      skipping_ = true;
      offset_ += text.size();
      before_ = text.substr(text.size() - kProof);
      continue;
    }
    for (size_t begin = 0; begin <= last;) {
      const size_t end = text.find('\n', begin);
      if (!std::exchange(skipping_, false) && end > begin)
        line(std::string_view(text).substr(begin, end - begin));
      begin = end + 1;
    }
    offset_ += last + 1;
    before_ = text.substr(last + 1 > kProof ? last + 1 - kProof : 0, std::min(kProof, last + 1));
    if (change == Change::none) change = Change::grown;
    chunk = kChunk;
  }
  return change;
}

}  // namespace lmms::report
