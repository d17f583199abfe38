#pragma once
/// The texts in which Linux describes a machine, taken apart. Whatever the text holds, an answer
/// comes back; what it does not say is empty or absent.
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace lmms {

/// A file of /proc or /sys; nullopt if there is none. They have no size: it is read as a stream,
/// and never without end.
std::optional<std::string> read_system_file(const std::string& path);

/// Of /proc/cpuinfo.
struct CpuText {
  std::string model;               ///< "AMD EPYC 9654"; empty where the text names none (ARM)
  std::vector<std::string> flags;  ///< of the first core: flags (x86), Features (ARM)
};
CpuText parse_cpuinfo(std::string_view text);

/// Those of `flags` that decide which kernels of the CPU run, by the names people use: avx2,
/// avx512, avx512_bf16, amx_bf16; asimd, sve, bf16 on ARM.
std::vector<std::string> instruction_sets(const std::vector<std::string>& flags);

/// Of /proc/meminfo, in bytes.
struct MemoryText {
  std::optional<int64_t> total, available;
};
MemoryText parse_meminfo(std::string_view text);

/// Of /proc/PID/status: bytes in memory that are the process's own (RssAnon and RssShmem). Pages of
/// mapped files are left out: they are the kernel's cache, which it takes back when memory runs
/// short. Where the text doesn't tell them apart (old kernels, sandboxes), all that is in memory.
std::optional<int64_t> parse_own_memory(std::string_view text);

/// PRETTY_NAME of /etc/os-release.
std::string parse_os_name(std::string_view text);
/// "580.95.05" of /proc/driver/nvidia/version.
std::string parse_nvidia_version(std::string_view text);

/// What the control groups of a process allow it.
struct CgroupLimits {
  std::optional<double> cores;          ///< CPU time a second
  std::optional<int64_t> memory_bytes;  ///< at most
  std::optional<int64_t> used_bytes;    ///< without the file cache that the kernel gives back; of
                                        ///< the group that sets memory_bytes
};

/// Reads a file of /sys/fs/cgroup; nullopt if there is none.
using ReadFile = std::function<std::optional<std::string>(const std::string& path)>;

/// The tightest limits of the groups that /proc/self/cgroup names and those above them, of either
/// version of cgroups. `self_cgroup`: its text.
CgroupLimits cgroup_limits(std::string_view self_cgroup, const ReadFile& read);

}  // namespace lmms
