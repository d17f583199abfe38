#include "kernels/device_nvml.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace lmms::kernels {
namespace {

TEST(Nvml, answers_on_a_machine_of_any_kind) {
  const NvmlFacts facts = nvml_facts();
  if (!facts.present) {
    EXPECT_TRUE(facts.gpus.empty());
  } else {
    EXPECT_FALSE(facts.driver.empty());
  }
}

TEST(Nvml, compares_addresses_of_any_width_and_case) {
  EXPECT_TRUE(same_pci("0000:18:00.0", "00000000:18:00.0"));
  EXPECT_TRUE(same_pci("0000:af:00.0", "0000:AF:00.0"));
  EXPECT_FALSE(same_pci("0000:18:00.0", "0001:18:00.0"));
  EXPECT_FALSE(same_pci("0000:18:00.0", "0000:19:00.0"));
  EXPECT_FALSE(same_pci("", ""));
}

TEST(Nvml, takes_idleness_and_the_power_limit_for_health) {
  EXPECT_THAT(slowdown_names(0x01 | 0x02 | 0x04 | 0x10), testing::IsEmpty());
  EXPECT_THAT(slowdown_names(0x40), testing::ElementsAre("heat (by the board)"));
  EXPECT_THAT(slowdown_names(~uint64_t{0}), testing::SizeIs(4));
}

}  // namespace
}  // namespace lmms::kernels
