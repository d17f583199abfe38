// bin/lmms: prepares the process, opens liblmms.so of the CPU or of CUDA, and hands the command
// line to it. It is linked with neither, so that one `lmms` serves a laptop and a GPU server.
#include <dlfcn.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string>

#include "start/choice.h"
#include "start/entry.h"
#include "start/nvidia.h"

namespace {

namespace fs = std::filesystem;
using lmms::start::Asked;
using lmms::start::Libraries;
using Entry = decltype(&lmms_main);

constexpr int kFailed = 1, kBadInput = 2;  // core/error.h Exit

/// "lmms: what\n    fix: fix\n"; returns `exit`.
int refuse(const std::string& what, const std::string& fix, int exit) {
  std::fprintf(stderr, "lmms: %s\n    fix: %s\n", what.c_str(), fix.c_str());
  return exit;
}

/// Threads of libgomp that wait for others spin by default, and where anything else wants the
/// cores training becomes many times slower. It reads these variables when it is loaded.
void let_waiting_threads_sleep() {
  for (const char* name : {"OMP_WAIT_POLICY", "GOMP_SPINCOUNT"}) {
    const char* given = std::getenv(name);
    if (given != nullptr && *given != '\0') return;
  }
  ::setenv("OMP_WAIT_POLICY", "passive", /*overwrite=*/1);
}

/// The program's entry in a library; null, and `trouble`, if it cannot be opened.
Entry open(const fs::path& library, std::string& trouble) {
  // Global, as if the program were linked with it: plugins find the names of these very libraries.
  // Now: a library of another version is found out here, not in the middle of a run.
  void* handle = ::dlopen(library.c_str(), RTLD_NOW | RTLD_GLOBAL);
  void* entry = handle != nullptr ? ::dlsym(handle, "lmms_main") : nullptr;
  if (entry == nullptr) trouble = ::dlerror();
  return reinterpret_cast<Entry>(entry);
}

}  // namespace

int main(int argc, char** argv) {
  let_waiting_threads_sleep();
  const char* device = std::getenv("LMMS_DEVICE");
  const auto asked = lmms::start::device_asked(device);
  if (!asked) {
    return refuse("LMMS_DEVICE='" + std::string(device) + "': wanted cpu or cuda",
                  "unset it (a GPU is taken where there is one), or set it to one of them",
                  kBadInput);
  }
  std::error_code failure;
  const fs::path folder = fs::read_symlink("/proc/self/exe", failure).parent_path();
  const Libraries libraries = lmms::start::find_libraries(folder);
  if (libraries.cpu.empty() && libraries.cuda.empty()) {
    return refuse("liblmms.so is neither in " + folder.string() + " nor in ../lib/lmms from there",
                  "build or install the program again, and move the installed folder as a whole",
                  kFailed);
  }
  const bool no_device = lmms::start::touches_no_device({argv + 1, argv + std::max(argc, 1)});
  std::string trouble;
  if (lmms::start::takes_cuda(libraries, *asked, no_device, lmms::start::nvidia_gpu())) {
    if (libraries.cuda.empty()) {
      return refuse("LMMS_DEVICE=cuda, and this program was built without CUDA",
                    "build it where the CUDA toolkit's nvcc is", kBadInput);
    }
    if (const Entry entry = open(libraries.cuda, trouble)) entry(argc, argv);
    if (*asked == Asked::cuda || libraries.cpu.empty()) {
      return refuse("CUDA's part of the program cannot be loaded: " + trouble,
                    lmms::start::cuda_cure(trouble), kBadInput);
    }
    // The CPU's library answers: it runs what asks for the CPU, says this where a GPU was wanted,
    // and explains it in `lmms doctor` (app/environment.h). It never trains on the CPU unasked.
    ::setenv("LMMS_CUDA_TROUBLE", trouble.c_str(), /*overwrite=*/1);
  }
  if (const Entry entry = open(libraries.cpu, trouble)) entry(argc, argv);
  return refuse("the program cannot be loaded: " + trouble,
                "install the library that is named there, or build the program on this machine",
                kFailed);
}
