// profile=true: a trace of a few steps.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "tests/e2e/project.h"

namespace lmms::e2e {
namespace {

using testing::HasSubstr;

nlohmann::json read(const std::filesystem::path& file) {
  std::ifstream in(file);
  return nlohmann::json::parse(in);
}

TEST(Profile, writes_a_trace_with_units_and_operators_and_changes_no_bit) {
  const Project plain, profiled;
  plain.train_to_the_end({"trainer_args.max_steps=4"});
  const Ended ended =
      profiled.train_to_the_end({"trainer_args.max_steps=4", "profile=true",
                                 "trainer_args.profiler_config={start_step: 1, end_step: 2}"});
  EXPECT_THAT(ended.err, HasSubstr("profiled 1 steps"));
  const auto trace = read(profiled / "out/profile/trace.json");
  int layers = 0, products = 0;
  for (const auto& event : trace.at("traceEvents")) {
    const std::string name = event.value("name", "");
    layers += name == "model.layers.0" ? 1 : 0;
    products += name == "aten::mm" || name == "aten::addmm" ? 1 : 0;
  }
  EXPECT_EQ(layers, 1) << "one step, one micro-step";
  EXPECT_GT(products, 10);
  EXPECT_EQ(read(profiled / "out/profile/breakdown.json").at("steps"), 1);
  EXPECT_EQ(weights(profiled / "out"), weights(plain / "out"));
}

TEST(Profile, of_a_run_that_ends_sooner_is_written_all_the_same) {
  const Project project;
  project.train_to_the_end({"trainer_args.max_steps=3", "profile=true"});
  EXPECT_EQ(read(project / "out/profile/breakdown.json").at("steps"), 2);
}

TEST(Profile, of_no_steps_is_refused) {
  const Project project;
  const Ended ended =
      project.train({"profile=true", "trainer_args.profiler_config={start_step: 5, end_step: 5}"});
  EXPECT_EQ(ended.exit, 2);
  EXPECT_THAT(ended.err, HasSubstr("expected more than start_step, 5"));
}

}  // namespace
}  // namespace lmms::e2e
