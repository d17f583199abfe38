#pragma once
/// Where tests find what is stored beside the sources.
#include <filesystem>

namespace lmms {

/// The root of the sources, as the build tells its test programs.
inline std::filesystem::path source_dir() {
#ifdef LMMS_SOURCE_DIR
  return LMMS_SOURCE_DIR;
#else  // in no test: a header that is compiled alone
  return {};
#endif
}

}  // namespace lmms
