#pragma once
/// Which liblmms.so a call of `lmms` takes: the CPU's or CUDA's. Both hold the whole program.
#include <filesystem>
#include <optional>
#include <span>
#include <string>

namespace lmms::start {

/// The libraries that lie there; an absent one has an empty path.
struct Libraries {
  std::filesystem::path cpu, cuda;
};
/// Looks for liblmms.so and cuda/liblmms.so in the folder of the program (a build), else in
/// ../lib/lmms from it (an installation).
Libraries find_libraries(const std::filesystem::path& program_folder);

/// What LMMS_DEVICE says.
enum class Asked { nothing, cpu, cuda };
/// Unset and empty say nothing; nullopt: neither of "cpu" and "cuda".
std::optional<Asked> device_asked(const char* value);

/// Whether a command line (without the program's name) is one that touches no device: help, lists,
/// preview, report. The CPU's library answers them sooner. Where --help is not among the first two
/// words, either library answers.
bool touches_no_device(std::span<const char* const> words);

/// Whether to take CUDA's library, for a command that touches a device: where it is asked for, or
/// where it is there and the machine shows an NVIDIA GPU. For the others only where there is no
/// other. Whether that GPU can be used is not asked here: CUDA's library says why
/// not, and takes the CPU only where it is asked to.
bool takes_cuda(const Libraries& libraries, Asked asked, bool no_device, bool nvidia_gpu);

/// How to mend what the dynamic linker said about CUDA's library.
std::string cuda_cure(const std::string& trouble);

}  // namespace lmms::start
