#include "checkpoint/output_lock.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <condition_variable>
#include <cstring>
#include <mutex>
#include <nlohmann/json.hpp>
#include <optional>
#include <thread>

#include "core/error.h"
#include "core/format.h"
#include "core/log.h"
#include "core/threads.h"

namespace lmms::checkpoint {
namespace fs = std::filesystem;
namespace {

using std::chrono::milliseconds;

constexpr const char* kLockFile = ".lmms-lock";

[[noreturn]] void fail(const fs::path& path, const std::string& doing, int error) {
  throw Error(path.string(), doing + " failed: " + std::strerror(error),
              "check that the folder may be written", Exit::failed);
}

/// The front of a small file; empty if it cannot be read. Those of /proc have no size that could
/// be mapped.
std::string read_text(const char* path) {
  const int fd = ::open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return "";
  std::array<char, 4096> buffer;
  const ssize_t n = ::read(fd, buffer.data(), buffer.size());
  ::close(fd);
  return n > 0 ? std::string(buffer.data(), static_cast<size_t>(n)) : "";
}

/// The clock tick since boot at which a process began: with it a number that was given to another
/// process since is told from the one that was meant. Empty if there is no such process.
std::string start_of(int64_t process) {
  const std::string text = read_text(fmt::format("/proc/{}/stat", process).c_str());
  size_t at = text.rfind(')');  // the name of the program, in brackets, may hold anything
  for (int field = 2; field < 22 && at != std::string::npos; ++field) at = text.find(' ', at + 1);
  if (at == std::string::npos) return "";
  return text.substr(at + 1, text.find(' ', at + 1) - at - 1);
}

/// Names this machine since it was started, and this container's numbering of processes: only
/// where both are the same does the number of a process say anything. Empty if that is not known.
std::string this_place() {
  std::string boot = read_text("/proc/sys/kernel/random/boot_id");
  boot = boot.substr(0, boot.find('\n'));
  std::error_code none;
  const std::string processes = fs::read_symlink("/proc/self/ns/pid", none).string();
  return boot.empty() || processes.empty() ? "" : boot + " " + processes;
}

std::string host_name() {
  std::array<char, 256> name{};
  return ::gethostname(name.data(), name.size() - 1) == 0 ? name.data() : "?";
}

nlohmann::json this_process() {
  return {{"host", host_name()},
          {"process", ::getpid()},
          {"started", start_of(::getpid())},
          {"place", this_place()}};
}

milliseconds time_of(const struct stat& info) {
  return milliseconds(info.st_mtim.tv_sec * 1000 + info.st_mtim.tv_nsec / 1'000'000);
}

/// Who holds a lock file.
struct Holder {
  std::string text;  ///< of the file
  nlohmann::json who;
  milliseconds silent{0};  ///< since it was touched

  bool is_gone(milliseconds dead_after) const {
    const std::string place = who.value("place", "");
    if (!place.empty() && place == this_place()) {
      const int64_t process = who.value("process", int64_t{0});
      return process <= 0 || start_of(process) != who.value("started", "");
    }
    return silent >= dead_after;
  }
  std::string name() const {
    if (who.empty()) return "nobody knows who";
    return fmt::format("process {} on {}", who.value("process", int64_t{0}), who.value("host", ""));
  }
};

/// What a lock file says; an empty object if that is not what this program writes.
nlohmann::json who_of(const std::string& text) {
  nlohmann::json who = nlohmann::json::parse(text, nullptr, /*allow_exceptions=*/false);
  const auto is_text = [&](const char* key) { return who.contains(key) && who[key].is_string(); };
  const bool whole = who.is_object() && is_text("host") && is_text("started") && is_text("place") &&
                     who.contains("process") && who["process"].is_number_integer();
  return whole ? who : nlohmann::json::object();
}

/// How long ago a file was touched, by the clock that wrote its time.
milliseconds silence_of(const fs::path& file) {
  struct stat then {
  }, now{};
  const fs::path probe = file.string() + fmt::format("-{}", ::getpid());
  const int fd = ::open(probe.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (fd < 0) return milliseconds(0);
  ::futimens(fd, nullptr);
  const bool known = ::fstat(fd, &now) == 0 && ::stat(file.c_str(), &then) == 0;
  ::close(fd);
  ::unlink(probe.c_str());
  return known ? std::max(milliseconds(0), time_of(now) - time_of(then)) : milliseconds(0);
}

/// Nothing if the file is gone again. Of one that cannot be read the holder is unknown.
std::optional<Holder> holder_of(const fs::path& file) {
  std::error_code error;
  if (!fs::exists(file, error)) return std::nullopt;
  const std::string text = read_text(file.c_str());
  return Holder{text, who_of(text), silence_of(file)};
}

/// Removes the file of a holder that is gone. A rename first: of two runs that do so only one gets
/// the file, and one that was made meanwhile goes back.
void remove_stale(const fs::path& file, const Holder& holder) {
  const fs::path mine = file.string() + fmt::format("-stale-{}", ::getpid());
  if (::rename(file.c_str(), mine.c_str()) != 0) {
    if (errno == ENOENT) return;
    throw Error(
        file.string(),
        std::string("is of a run that is gone, and cannot be removed: ") + std::strerror(errno),
        "remove it by hand", Exit::failed);
  }
  if (read_text(mine.c_str()) != holder.text && ::link(mine.c_str(), file.c_str()) != 0 &&
      errno != EEXIST)
    ::rename(mine.c_str(), file.c_str());
  ::unlink(mine.c_str());
}

}  // namespace

class OutputLock::LockFile {
 public:
  LockFile(const fs::path& output, const LockOptions& options)
      : path_(output / kLockFile), text_(this_process().dump() + "\n") {
    while (!take(options.settled_after)) {
      const auto holder = holder_of(path_);
      if (!holder) continue;  // let go just now
      if (!holder->is_gone(options.dead_after))
        throw Error(output.string(),
                    fmt::format("another run is writing here: {}, whose last sign of life was {} s "
                                "ago",
                                holder->name(), holder->silent.count() / 1000),
                    fmt::format("wait for it to end, or choose another trainer_args.output_dir; if "
                                "it was killed, wait {} s or remove {}",
                                options.dead_after.count() / 1000, path_.string()),
                    Exit::failed);
      log::notice(fmt::format("{} was left by {}, which is gone: taken over", path_.string(),
                              holder->name()));
      remove_stale(path_, *holder);
    }
    life_ = std::jthread([this, pause = options.sign_of_life](const std::stop_token& stop) {
      name_this_thread("lock");
      std::mutex mutex;
      std::unique_lock lock(mutex);
      while (!wake_.wait_for(lock, stop, pause, [] { return false; }) && !stop.stop_requested())
        if (!touch()) return;
    });
  }

  ~LockFile() {
    life_.request_stop();
    life_.join();
    if (is_mine()) ::unlink(path_.c_str());
  }

 private:
  /// False if another run holds it. Of runs that meet over a stale file two can have made one in
  /// turn: a moment later all see the same.
  bool take(milliseconds settled_after) const {
    if (!make()) return false;
    std::this_thread::sleep_for(settled_after);
    return is_mine();
  }

  bool make() const {
    const int fd = ::open(path_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    if (fd < 0 && errno == EEXIST) return false;
    if (fd < 0) fail(path_, "creating the file", errno);
    const ssize_t written = ::write(fd, text_.data(), text_.size());
    const int error = written < 0 ? errno : ENOSPC;
    ::close(fd);
    if (written == static_cast<ssize_t>(text_.size())) return true;
    ::unlink(path_.c_str());
    fail(path_, "writing", error);
  }

  bool is_mine() const { return read_text(path_.c_str()) == text_; }

  /// False if it is no longer this run's.
  bool touch() const {
    const std::string text = read_text(path_.c_str());
    if (!text.empty() && text != text_) {
      log::warning(
          fmt::format("{}: another run has taken the output folder over while this one "
                      "gave no sign of life: end one of the two",
                      path_.string()));
      return false;
    }
    ::utimensat(AT_FDCWD, path_.c_str(), nullptr, 0);
    return true;
  }

  fs::path path_;
  std::string text_;
  std::condition_variable_any wake_;
  std::jthread life_;
};

OutputLock::OutputLock(const fs::path& output, LockOptions options) {
  std::error_code error;
  fs::create_directories(output, error);
  if (error) fail(output, "creating the folder", error.value());
  descriptor_ = ::open(output.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (descriptor_ < 0) fail(output, "opening the folder", errno);
  const auto lock = [&] {
    return options.flock ? options.flock(descriptor_, LOCK_EX | LOCK_NB)
                         : ::flock(descriptor_, LOCK_EX | LOCK_NB);
  };
  int failed = lock();
  while (failed != 0 && errno == EINTR) failed = lock();
  if (failed == 0) return;
  const int reason = errno;
  try {
    if (reason == EWOULDBLOCK)
      throw Error(output.string(), "another run is writing here",
                  "wait for it to end, or choose another trainer_args.output_dir", Exit::failed);
    file_ = std::make_unique<LockFile>(output, options);
    log::notice(
        fmt::format("{}: its file system has no locks ({}); the file {} keeps a second run "
                    "out instead",
                    output.string(), std::strerror(reason), kLockFile));
  } catch (...) {  // the descriptor has no other owner yet
    ::close(descriptor_);
    throw;
  }
}

OutputLock::~OutputLock() {
  file_.reset();
  ::close(descriptor_);
}

}  // namespace lmms::checkpoint
