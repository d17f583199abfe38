#include "core/home.h"

#include <pwd.h>
#include <unistd.h>

#include <vector>

#include "core/format.h"

namespace lmms {
namespace {

/// The home folder of a user in the system's list; empty if there is none.
std::string home_of(const std::string& user) {
  std::vector<char> room(1 << 14);
  struct passwd entry {};
  struct passwd* found = nullptr;
  if (::getpwnam_r(user.c_str(), &entry, room.data(), room.size(), &found) != 0) return "";
  return found == nullptr ? "" : found->pw_dir;
}

}  // namespace

Result<std::string> expand_home(const std::string& path, const std::string& home) {
  if (!path.starts_with('~')) return path;
  const size_t slash = path.find('/');
  const std::string user = path.substr(1, slash == std::string::npos ? slash : slash - 1);
  std::string folder = user.empty() ? home : home_of(user);
  if (folder.empty()) {
    return Fault{"",
                 user.empty()
                     ? fmt::format("'{}': HOME is not set; expected a path without ~", path)
                     : fmt::format("'{}': there is no user '{}'; expected the whole path, or ./{} "
                                   "for a folder of that name",
                                   path, user, path),
                 ""};
  }
  if (slash == std::string::npos) return folder;
  while (folder.size() > 1 && folder.ends_with('/')) folder.pop_back();
  return (folder == "/" ? "" : folder) + path.substr(slash);
}

}  // namespace lmms
