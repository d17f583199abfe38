#include "train/report_setup.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/config/schema.h"
#include "core/error.h"

namespace lmms::train {
namespace {

TEST(ConfigFacts, are_those_of_a_whole_config) {
  const auto facts = config_facts(LMMS_SOURCE_DIR "/examples/chat_tiny/config.yaml");
  ASSERT_TRUE(facts);
  EXPECT_THAT(facts->changes, testing::Contains("trainer_args.warmup_ratio: 0.05"));
  const config::Entry* args = facts->tree.find("trainer_args");
  ASSERT_NE(args, nullptr);
  ASSERT_NE(args->value.find("warmup_ratio"), nullptr);
  EXPECT_EQ(args->value.find("warmup_ratio")->value.text, "0.05");
  EXPECT_THROW(config_facts("no/such/config.resolved.yaml"), Error);
}

}  // namespace
}  // namespace lmms::train
