#include "train/registries.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "data/config.h"
#include "models/config.h"
#include "optim/config.h"
#include "train/config.h"
#include "train/config_testing.h"
#include "train/kernel_patches.h"

namespace lmms::train {
namespace {

using testing::HasSubstr;

// What a config may name as built is there, and nothing else.
template <class T>
void expect_names(const Registry<T>& registry, std::span<const config::Name> names) {
  size_t built = 0;
  for (const config::Name& name : names) {
    const bool is_built = name.built == config::Built::built;
    EXPECT_EQ(registry.find(name.name) != nullptr, is_built) << registry.kind() << " " << name.name;
    built += is_built;
  }
  EXPECT_EQ(registry.entries().size(), built) << registry.kind();
}

TEST(Registries, hold_what_a_config_may_ask_for) {
  const Registries& all = built_in_registries();
  expect_names(all.processors, data::processor_type_names());
  expect_names(all.datasets, data::dataset_type_names());
  expect_names(all.objectives, trainer_type_names());
  expect_names(all.optimizers, optim::optimizer_names());
  expect_names(all.schedules, optim::schedule_names());
  expect_names(all.patches, models::patch_names());
  EXPECT_GE(all.models.entries().size(), 5u);
  EXPECT_NE(all.metric_sinks.find("tensorboard"), nullptr);
}

TEST(Registries, are_handed_down_with_the_config_and_may_hold_more) {
  Registries more = built_in_registries();
  more.patches.add("probe", "a patch of another",
                   {.kernels = [](const models::PatchRequest&,
                                  nn::KernelSet& kernels) { kernels.norm = kernels::Form::plain; }},
                   "/opt/probe.so");
  LoadedConfig loaded;
  EXPECT_EQ(loaded.registries, &built_in_registries());
  loaded.registries = &more;
  loaded.config.monkey_patch = {"probe"};
  EXPECT_EQ(kernel_set(loaded).norm, kernels::Form::plain);
  loaded.registries = &built_in_registries();
  try {
    kernel_set(loaded);
    FAIL();
  } catch (const Error& e) {
    EXPECT_THAT(e.what(), HasSubstr("monkey_patch: unknown patch 'probe'"));
  }
}

}  // namespace
}  // namespace lmms::train
