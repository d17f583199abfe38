#pragma once
/// The version of this program: CMakeLists.txt's project() says the same (core/version_test.cpp).

namespace lmms {

inline constexpr const char* kVersion = "0.1.0";

}  // namespace lmms
