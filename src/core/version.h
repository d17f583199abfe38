#pragma once
/// The version of this program: CMakeLists.txt's project() says the same (core/version_test.cpp).

#define LMMS_VERSION "0.1.0"

namespace lmms {

inline constexpr const char* kVersion = LMMS_VERSION;

}  // namespace lmms
