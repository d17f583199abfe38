#pragma once
/// The CPU's answers, shared by both builds.
#include <cstdint>
#include <string>

namespace lmms::kernels::cpu {

std::string name();
int64_t total_memory_bytes();

}  // namespace lmms::kernels::cpu
