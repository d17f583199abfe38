#include "kernels/device_cpu.h"

#include <unistd.h>

#include <fstream>

namespace lmms::kernels::cpu {

std::string name() {
  std::ifstream info("/proc/cpuinfo");
  for (std::string line; std::getline(info, line);) {
    const size_t colon = line.find(':');
    if (line.starts_with("model name") && colon != std::string::npos && colon + 2 < line.size())
      return line.substr(colon + 2);
  }
  return "CPU";
}

int64_t total_memory_bytes() {
  return static_cast<int64_t>(::sysconf(_SC_PHYS_PAGES)) *
         static_cast<int64_t>(::sysconf(_SC_PAGESIZE));
}

}  // namespace lmms::kernels::cpu
