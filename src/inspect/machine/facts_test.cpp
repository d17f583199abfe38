#include "inspect/machine/facts.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/version.h"

namespace lmms::inspect {
namespace {

using testing::Contains;
using testing::MatchesRegex;
using testing::Pair;
using testing::StartsWith;

TEST(MachineFacts, name_every_library_with_its_version) {
  const NamedTexts all = versions();
  EXPECT_THAT(all, Contains(Pair("lmms", StartsWith(kVersion))));
  EXPECT_THAT(all, Contains(Pair("libtorch", MatchesRegex("2\\.[0-9]+\\.[0-9]+\\+(cu|cpu).*"))));
  EXPECT_THAT(all, Contains(Pair("Arrow", MatchesRegex("[0-9]+\\.[0-9]+\\.[0-9]+.*"))));
  EXPECT_THAT(all, Contains(Pair("Parquet", MatchesRegex("[0-9]+\\.[0-9]+\\.[0-9]+.*"))));
  EXPECT_THAT(all, Contains(Pair("compiler", StartsWith("GCC "))));
  for (const auto& [name, version] : all) EXPECT_FALSE(version.empty()) << name;
}

TEST(MachineFacts, describe_the_host) {
  const HostFacts host = host_facts();
  EXPECT_FALSE(host.cpu.empty());
  EXPECT_GE(host.usable_cores, 1);
  EXPECT_GE(host.machine_cores, host.usable_cores);
  EXPECT_GT(host.memory_bytes, 0);
  EXPECT_LE(host.free_bytes, host.memory_bytes);
  EXPECT_THAT(machine(c10::kCPU), Contains(Pair("CPU", host.cpu)));
}

TEST(MachineFacts, say_how_many_cores_may_be_used) {
  HostFacts host;
  host.machine_cores = host.usable_cores = 96;
  EXPECT_EQ(cores_text(host), "96");
  host.usable_cores = 12;
  host.cgroup_cores = 7.5;
  EXPECT_EQ(cores_text(host),
            "96, 12 usable by this process, its control group allows the time of 7.5");
}

TEST(MachineFacts, find_a_setting_of_the_libtorch_build) {
  const std::string text =
      "  - Build settings: MY_TORCH_VERSION=1, CUDA_VERSION=13.0, TORCH_VERSION=2.11.0, \n";
  EXPECT_EQ(build_setting(text, "TORCH_VERSION"), "2.11.0");
  EXPECT_EQ(build_setting(text, "CUDA_VERSION"), "13.0");
  EXPECT_EQ(build_setting(text, "USE_NCCL"), "");
  EXPECT_EQ(build_setting("TORCH_VERSION=2", "TORCH_VERSION"), "2");
}

}  // namespace
}  // namespace lmms::inspect
