#include "start/nvidia.h"

#include <algorithm>
#include <cctype>
#include <fstream>
#include <string>

namespace lmms::start {
namespace {

namespace fs = std::filesystem;

/// Entries of a folder of the system that `wanted` takes; 0 if there is no such folder.
template <class F>
int count_entries(const fs::path& folder, const F& wanted) {
  std::error_code failure;
  int count = 0;
  for (fs::directory_iterator at(folder, failure), end; !failure && at != end;
       at.increment(failure))
    count += wanted(at->path()) ? 1 : 0;
  return count;
}

std::string first_word(const fs::path& file) {
  std::ifstream in(file);
  std::string word;
  in >> word;
  return word;
}

bool is_there(const fs::path& path) {
  std::error_code failure;
  return fs::exists(path, failure);
}

}  // namespace

bool nvidia_driver(const fs::path& root) {
  return is_there(root / "proc/driver/nvidia/version");
}

int nvidia_device_files(const fs::path& root) {
  return count_entries(root / "dev", [](const fs::path& path) {
    const std::string name = path.filename().string();
    return name.starts_with("nvidia") && name.size() > 6 &&
           std::all_of(name.begin() + 6, name.end(),
                       [](unsigned char c) { return std::isdigit(c); });
  });
}

int nvidia_cards(const fs::path& root) {
  return count_entries(root / "sys/bus/pci/devices", [](const fs::path& path) {
    return first_word(path / "vendor") == "0x10de" &&
           first_word(path / "class").starts_with("0x03");
  });
}

bool nvidia_of_windows(const fs::path& root) {
  return is_there(root / "dev/dxg") && is_there(root / "usr/lib/wsl/lib/libcuda.so.1");
}

bool nvidia_gpu(const fs::path& root) {
  return nvidia_driver(root) || nvidia_device_files(root) > 0 || nvidia_cards(root) > 0 ||
         nvidia_of_windows(root);
}

}  // namespace lmms::start
