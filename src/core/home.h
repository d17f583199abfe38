#pragma once
/// `~` at the front of a path.
#include <string>

#include "core/error.h"

namespace lmms {

/// The path with `~` or `~name` at its front replaced by `home` or that user's folder, as a shell
/// and Python's `expanduser` do; any other path as it is. `home` empty: there is none. A fault,
/// without `where`, if the folder is not known.
Result<std::string> expand_home(const std::string& path, const std::string& home);

}  // namespace lmms
