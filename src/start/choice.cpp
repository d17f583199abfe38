#include "start/choice.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <string_view>

namespace lmms::start {
namespace {

namespace fs = std::filesystem;

fs::path if_there(const fs::path& path) {
  std::error_code failure;
  return fs::exists(path, failure) ? path : fs::path();
}

}  // namespace

Libraries find_libraries(const fs::path& program_folder) {
  for (const fs::path& folder : {program_folder, program_folder.parent_path() / "lib/lmms"}) {
    Libraries found{if_there(folder / "liblmms.so"), if_there(folder / "cuda/liblmms.so")};
    if (!found.cpu.empty() || !found.cuda.empty()) return found;
  }
  return {};
}

std::optional<Asked> device_asked(const char* value) {
  if (value == nullptr || *value == '\0') return Asked::nothing;
  if (std::strcmp(value, "cpu") == 0) return Asked::cpu;
  if (std::strcmp(value, "cuda") == 0) return Asked::cuda;
  return std::nullopt;
}

bool touches_no_device(std::span<const char* const> words) {
  constexpr std::array kCommands = {"help", "list", "preview", "report", "completion"};
  constexpr std::array kFlags = {"--help", "-h", "--version"};
  const auto is_one_of = [](const auto& names, std::string_view word) {
    return std::find(names.begin(), names.end(), word) != names.end();
  };
  // "lmms --help", "lmms train --help"; further on it may be a text: --prompt -h.
  const auto first = words.first(std::min<size_t>(words.size(), 2));
  return words.empty() || is_one_of(kCommands, words[0]) ||
         std::any_of(first.begin(), first.end(),
                     [&](std::string_view word) { return is_one_of(kFlags, word); });
}

bool takes_cuda(const Libraries& libraries, Asked asked, bool no_device, bool nvidia_gpu) {
  if (libraries.cpu.empty()) return true;
  if (no_device || asked == Asked::cpu) return false;
  return asked == Asked::cuda || (!libraries.cuda.empty() && nvidia_gpu);
}

std::string cuda_cure(const std::string& trouble) {
  // "libcudnn.so.9: cannot open shared object file: No such file or directory"
  const size_t colon = trouble.find(": cannot open shared object file");
  if (colon == std::string::npos) return "build and install the program again";
  const std::string name = trouble.substr(0, colon);
  if (name.starts_with("libtorch") || name.starts_with("libc10") || name.starts_with("libarrow") ||
      name.starts_with("libparquet"))
    return "build and install the program again, or name the folder of " + name +
           " in LD_LIBRARY_PATH";
  return "where the program was built call LMMS_GPU_LIBRARIES=on scripts/bootstrap.sh, which "
         "fetches CUDA's libraries, and install it again if it was installed; or name the folder "
         "of " +
         name + " in LD_LIBRARY_PATH";
}

}  // namespace lmms::start
