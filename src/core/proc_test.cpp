#include "core/proc.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <random>

namespace lmms {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

using Files = std::map<std::string, std::string>;

ReadFile reader(const Files& files) {
  return [files](const std::string& path) -> std::optional<std::string> {
    const auto found = files.find(path);
    return found == files.end() ? std::nullopt : std::optional(found->second);
  };
}

constexpr int64_t kGiB = int64_t{1} << 30;

TEST(Proc, reads_the_first_core_of_cpuinfo) {
  const CpuText cpu = parse_cpuinfo(
      "processor\t: 0\nmodel name\t: AMD EPYC 9654\nflags\t\t: fpu avx2 avx512f  avx512_bf16\n\n"
      "processor\t: 1\nmodel name\t: another\nflags\t\t: fpu\n");
  EXPECT_EQ(cpu.model, "AMD EPYC 9654");
  EXPECT_THAT(cpu.flags, ElementsAre("fpu", "avx2", "avx512f", "avx512_bf16"));
  EXPECT_THAT(instruction_sets(cpu.flags), ElementsAre("avx2", "avx512", "avx512_bf16"));
}

TEST(Proc, reads_cpuinfo_of_an_arm_machine) {
  const CpuText cpu = parse_cpuinfo("processor : 0\nFeatures : fp asimd sve bf16\n");
  EXPECT_EQ(cpu.model, "");
  EXPECT_THAT(instruction_sets(cpu.flags), ElementsAre("asimd", "sve", "bf16"));
}

TEST(Proc, reads_meminfo_in_bytes) {
  const MemoryText memory =
      parse_meminfo("MemTotal:       49368168 kB\nMemFree: 1 kB\nMemAvailable:   47000000 kB\n");
  EXPECT_EQ(memory.total, int64_t{49368168} * 1024);
  EXPECT_EQ(memory.available, int64_t{47000000} * 1024);
}

TEST(Proc, says_nothing_where_meminfo_says_nothing) {
  for (const char* text : {"", "MemTotal", "MemTotal:", "MemTotal: many kB", "MemTotal: -3 kB",
                           "MemTotal: 9223372036854775807 kB", "MemTotal: 99999999999999999999 kB"})
    EXPECT_EQ(parse_meminfo(text).total, std::nullopt) << text;
}

TEST(Proc, reads_names_of_system_and_driver) {
  EXPECT_EQ(parse_os_name("NAME=\"Debian\"\nPRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\n"),
            "Debian GNU/Linux 12 (bookworm)");
  EXPECT_EQ(parse_os_name("PRETTY_NAME=Alpine"), "Alpine");
  EXPECT_EQ(parse_os_name("PRETTY_NAME=\""), "\"");
  EXPECT_EQ(
      parse_nvidia_version("NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  580.95.05  "
                           "Release Build  (dvs-builder)\nGCC version:  gcc version 12.2.0\n"),
      "580.95.05");
  EXPECT_EQ(parse_nvidia_version("GCC version: 12.2.0\n"), "");
  EXPECT_EQ(parse_nvidia_version("NVRM version: none"), "");
}

TEST(Proc, takes_the_tightest_limit_of_nested_groups_of_version_2) {
  const CgroupLimits limits = cgroup_limits(
      "0::/kubepods/pod7\n", reader({
                                 {"/sys/fs/cgroup/kubepods/pod7/cpu.max", "max 100000\n"},
                                 {"/sys/fs/cgroup/kubepods/cpu.max", "250000 100000\n"},
                                 {"/sys/fs/cgroup/kubepods/pod7/memory.max", "8589934592\n"},
                                 {"/sys/fs/cgroup/kubepods/pod7/memory.current", "3221225472\n"},
                                 {"/sys/fs/cgroup/kubepods/pod7/memory.stat",
                                  "anon 1\ninactive_file 1073741824\nactive_file 7\n"},
                                 {"/sys/fs/cgroup/kubepods/memory.max", "max\n"},
                             }));
  EXPECT_EQ(limits.cores, 2.5);
  EXPECT_EQ(limits.memory_bytes, 8 * kGiB);
  EXPECT_EQ(limits.used_bytes, 2 * kGiB);
}

TEST(Proc, reads_groups_of_version_1_and_those_of_a_container_at_the_root) {
  const CgroupLimits limits = cgroup_limits(
      "9:cpu,cpuacct:/docker/ab\n4:memory:/docker/ab\n0::/\n",
      reader({
          {"/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us", "150000\n"},
          {"/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us", "100000\n"},
          {"/sys/fs/cgroup/memory/docker/ab/memory.limit_in_bytes", "9223372036854771712\n"},
          {"/sys/fs/cgroup/memory/memory.limit_in_bytes", "2147483648\n"},
          {"/sys/fs/cgroup/memory/memory.usage_in_bytes", "1073741824\n"},
          {"/sys/fs/cgroup/memory/memory.stat", "total_inactive_file 2147483648\n"},
      }));
  EXPECT_EQ(limits.cores, 1.5);
  EXPECT_EQ(limits.memory_bytes, 2 * kGiB);
  EXPECT_EQ(limits.used_bytes, 0);
}

TEST(Proc, has_no_limits_where_groups_set_none) {
  const CgroupLimits limits = cgroup_limits(
      "4:memory:/\n3:cpu:/\n0::/\n", reader({{"/sys/fs/cgroup/cpu/cpu.cfs_quota_us", "-1\n"},
                                             {"/sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n"},
                                             {"/sys/fs/cgroup/cpu.max", "max 100000\n"}}));
  EXPECT_EQ(limits.cores, std::nullopt);
  EXPECT_EQ(limits.memory_bytes, std::nullopt);
  EXPECT_EQ(limits.used_bytes, std::nullopt);
}

TEST(Proc, survives_garbage) {
  std::mt19937 random(7);
  const std::string alphabet("a0:/=\n\t \"-,.\0\xff", 14);
  for (int round = 0; round < 3000; ++round) {
    std::string text;
    for (int i = 0; i < 60; ++i) text += alphabet[random() % alphabet.size()];
    parse_cpuinfo("flags:" + text);
    parse_meminfo("MemTotal:" + text);
    parse_os_name("PRETTY_NAME=" + text);
    parse_nvidia_version("NVRM version:" + text);
    cgroup_limits("0::/" + text, [&](const std::string&) { return std::optional(text); });
    cgroup_limits("4:cpu,memory:/" + text, [&](const std::string&) { return std::optional(text); });
  }
  EXPECT_THAT(parse_cpuinfo("").flags, IsEmpty());
  EXPECT_EQ(
      cgroup_limits("0::/", [](const std::string&) { return std::optional<std::string>("0 0"); })
          .cores,
      std::nullopt);
}

}  // namespace
}  // namespace lmms
