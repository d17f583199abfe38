#include "core/proc.h"

#include <algorithm>
#include <charconv>
#include <fstream>
#include <limits>

#include "core/format.h"

namespace lmms {
namespace {

constexpr std::string_view kSpace = " \t\r\n";

std::string_view trimmed(std::string_view s) {
  const size_t begin = s.find_first_not_of(kSpace);
  if (begin == std::string_view::npos) return {};
  return s.substr(begin, s.find_last_not_of(kSpace) - begin + 1);
}

// Cuts the first part off `rest`, up to `mark`, which is dropped.
std::string_view cut(std::string_view& rest, char mark) {
  const size_t end = rest.find(mark);
  const std::string_view part = rest.substr(0, end);
  rest = end == std::string_view::npos ? std::string_view{} : rest.substr(end + 1);
  return part;
}

// The value of the first line "KEY<mark>value".
std::optional<std::string_view> value_of(std::string_view text, std::string_view key, char mark) {
  while (!text.empty()) {
    std::string_view line = cut(text, '\n');
    if (line.find(mark) == std::string_view::npos) continue;
    if (trimmed(cut(line, mark)) == key) return trimmed(line);
  }
  return std::nullopt;
}

// The number at the start of the text, if it is not negative.
std::optional<int64_t> number(std::string_view s) {
  s = trimmed(s);
  int64_t value = 0;
  const auto [end, error] = std::from_chars(s.data(), s.data() + s.size(), value);
  if (error != std::errc{} || value < 0) return std::nullopt;
  return value;
}

std::optional<int64_t> kilobytes(std::string_view text, std::string_view key) {
  const auto value = value_of(text, key, ':');
  const auto n = value ? number(*value) : std::nullopt;
  if (!n || *n > std::numeric_limits<int64_t>::max() / 1024) return std::nullopt;
  return *n * 1024;
}

std::vector<std::string> words(std::string_view text) {
  std::vector<std::string> out;
  for (size_t begin = text.find_first_not_of(kSpace); begin != std::string_view::npos;) {
    const size_t end = text.find_first_of(kSpace, begin);
    out.emplace_back(text.substr(begin, end - begin));
    begin = text.find_first_not_of(kSpace, end);
  }
  return out;
}

// PATH and all folders above it, ending with "".
std::vector<std::string> upwards(std::string path) {
  std::vector<std::string> out;
  while (!path.empty() && path.back() == '/') path.pop_back();
  while (!path.empty()) {
    out.push_back(path);
    const size_t slash = path.rfind('/');
    path.resize(slash == std::string::npos ? 0 : slash);
  }
  out.emplace_back();
  return out;
}

// Version 1 says "no limit" by a number near 2^63.
constexpr int64_t kNoLimit = int64_t{1} << 60;

struct Group {
  const ReadFile& read;
  std::string folder;
  std::optional<int64_t> file(const char* name) const {
    const auto text = read(folder + "/" + name);
    return text ? number(*text) : std::nullopt;
  }
};

void limit_cores(CgroupLimits& limits, int64_t quota, int64_t period) {
  if (quota <= 0 || period <= 0) return;
  const double cores = static_cast<double>(quota) / static_cast<double>(period);
  if (!limits.cores || cores < *limits.cores) limits.cores = cores;
}

void limit_memory(CgroupLimits& limits, const Group& group, std::optional<int64_t> bytes,
                  const char* used_file, const char* cache_key) {
  if (!bytes || *bytes >= kNoLimit || (limits.memory_bytes && *limits.memory_bytes <= *bytes))
    return;
  limits.memory_bytes = bytes;
  limits.used_bytes = group.file(used_file);
  const auto stat = group.read(group.folder + "/memory.stat");
  const auto cache = stat ? value_of(*stat, cache_key, ' ') : std::nullopt;
  const auto given_back = cache ? number(*cache) : std::nullopt;
  if (limits.used_bytes && given_back)
    *limits.used_bytes = std::max<int64_t>(0, *limits.used_bytes - *given_back);
}

void read_version_2(CgroupLimits& limits, const Group& group) {
  if (const auto text = group.read(group.folder + "/cpu.max")) {  // "max 100000", "150000 100000"
    std::string_view rest = *text;
    const auto quota = number(cut(rest, ' '));
    limit_cores(limits, quota.value_or(0), number(rest).value_or(100000));
  }
  limit_memory(limits, group, group.file("memory.max"), "memory.current", "inactive_file");
}

}  // namespace

std::optional<std::string> read_system_file(const std::string& path) {
  constexpr size_t kMost = 4 << 20;
  std::ifstream in(path, std::ios::binary);
  if (!in) return std::nullopt;
  std::string text(kMost, '\0');
  in.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<size_t>(in.gcount()));
  return text;
}

CpuText parse_cpuinfo(std::string_view text) {
  CpuText cpu;
  if (const auto model = value_of(text, "model name", ':')) cpu.model = *model;
  for (const char* key : {"flags", "Features"}) {
    const auto flags = value_of(text, key, ':');
    if (flags && cpu.flags.empty()) cpu.flags = words(*flags);
  }
  return cpu;
}

std::vector<std::string> instruction_sets(const std::vector<std::string>& flags) {
  constexpr std::pair<const char*, const char*> kSets[] = {
      {"avx2", "avx2"},         {"avx512f", "avx512"}, {"avx512_bf16", "avx512_bf16"},
      {"amx_bf16", "amx_bf16"}, {"asimd", "asimd"},    {"sve", "sve"},
      {"bf16", "bf16"}};
  std::vector<std::string> out;
  for (const auto& [flag, name] : kSets) {
    if (std::find(flags.begin(), flags.end(), flag) != flags.end()) out.emplace_back(name);
  }
  return out;
}

MemoryText parse_meminfo(std::string_view text) {
  return {kilobytes(text, "MemTotal"), kilobytes(text, "MemAvailable")};
}

std::optional<int64_t> parse_own_memory(std::string_view text) {
  if (const auto anonymous = kilobytes(text, "RssAnon"))
    return *anonymous + kilobytes(text, "RssShmem").value_or(0);
  return kilobytes(text, "VmRSS");
}

std::string parse_os_name(std::string_view text) {
  std::string_view name = value_of(text, "PRETTY_NAME", '=').value_or("");
  if (name.size() >= 2 && name.front() == '"' && name.back() == '"')
    name = name.substr(1, name.size() - 2);
  return std::string(name);
}

std::string parse_nvidia_version(std::string_view text) {
  // NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  580.95.05  Release Build ...
  const auto line = value_of(text, "NVRM version", ':');
  if (!line) return "";
  for (const std::string& word : words(*line)) {
    const bool digits = word.find_first_not_of("0123456789.") == std::string::npos;
    if (digits && word.find('.') != std::string::npos) return word;
  }
  return "";
}

CgroupLimits cgroup_limits(std::string_view self_cgroup, const ReadFile& read) {
  CgroupLimits limits;
  constexpr const char* kRoot = "/sys/fs/cgroup";
  while (!self_cgroup.empty()) {  // "4:memory:/docker/ab12", "0::/user.slice"
    std::string_view rest = cut(self_cgroup, '\n');
    const bool version_2 = trimmed(cut(rest, ':')) == "0";
    std::string controllers(cut(rest, ':'));
    // a container that has no cgroup namespace sees its own group at the root
    for (const std::string& path : upwards(std::string(trimmed(rest)))) {
      if (version_2 && controllers.empty()) {
        read_version_2(limits, {read, fmt::format("{}{}", kRoot, path)});
        read_version_2(limits, {read, fmt::format("{}/unified{}", kRoot, path)});
        continue;
      }
      const Group group{read, fmt::format("{}/{}{}", kRoot, controllers, path)};
      std::string_view names = controllers;
      while (!names.empty()) {
        const std::string_view name = cut(names, ',');
        if (name == "cpu") {
          limit_cores(limits, group.file("cpu.cfs_quota_us").value_or(0),
                      group.file("cpu.cfs_period_us").value_or(0));
        }
        if (name == "memory") {
          limit_memory(limits, group, group.file("memory.limit_in_bytes"), "memory.usage_in_bytes",
                       "total_inactive_file");
        }
      }
    }
  }
  return limits;
}

}  // namespace lmms
