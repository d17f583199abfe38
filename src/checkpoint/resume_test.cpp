#include "checkpoint/resume.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <limits>

#include "checkpoint/json_file.h"
#include "checkpoint/scratch_folder.h"

namespace lmms::checkpoint {
namespace {

using testing::HasSubstr;
using testing::Not;

/// A trainer's worth of state in small.
struct Counters {
  std::vector<float> moments = {1.5f, -0.0f, std::numeric_limits<float>::infinity()};
  int64_t step = int64_t{1} << 62;
  double progress = 0.1;

  ResumeState state(Shape shape = {3}) {
    ResumeState resume;
    resume.add_tensors(
        "optimizer",
        {{.name = "model.norm.weight",
          .dtype = DType::f32,
          .shape = std::move(shape),
          .save = [this](const ByteSink& sink) { sink(std::as_bytes(std::span(moments))); },
          .load =
              [this](std::span<const std::byte> bytes) {
                std::memcpy(moments.data(), bytes.data(), bytes.size());
              }}});
    resume.add_value(
        "loop",
        [this] {
          return nlohmann::json{{"step", step}, {"progress", progress}};
        },
        [this](const nlohmann::json& value) {
          step = value.at("step");
          progress = value.at("progress");
        });
    return resume;
  }
};

TEST(Resume, what_was_saved_comes_back_bit_for_bit) {
  ScratchFolder folder;
  Counters before;
  before.state().save(folder.path());
  Counters after{.moments = {0, 0, 0}, .step = 0, .progress = 0};
  after.state().load(folder.path());
  EXPECT_EQ(std::memcmp(after.moments.data(), before.moments.data(), 12), 0);
  EXPECT_EQ(after.step, before.step);
  EXPECT_EQ(after.progress, before.progress);
}

TEST(Resume, a_snapshot_no_longer_sees_the_trainer) {
  ScratchFolder folder;
  Counters live;
  const auto snapshot = live.state().snapshot();
  live = {.moments = {7, 7, 7}, .step = 7, .progress = 7};
  snapshot.write(folder.path());
  live.state().load(folder.path());
  EXPECT_EQ(live.moments[0], 1.5f);
  EXPECT_EQ(live.step, int64_t{1} << 62);
}

/// The message of loading the folder into a state that was changed from what wrote it.
std::string refusal(ResumeState state, const std::filesystem::path& folder) {
  try {
    state.load(folder);
  } catch (const Error& error) {
    EXPECT_EQ(error.exit(), Exit::bad_input);
    return error.what();
  }
  ADD_FAILURE() << "was loaded";
  return "";
}

TEST(Resume, differences_are_all_named_before_anything_is_loaded) {
  ScratchFolder folder;
  Counters before;
  before.state().save(folder.path());

  Counters other;
  other.moments = {9, 9, 9, 9};
  auto state = other.state({4});
  state.add_value(
      "ema", [] { return 1; }, [](const nlohmann::json&) { FAIL(); });
  state.add_tensors("masters", {});
  const auto message = refusal(std::move(state), folder.path());
  EXPECT_THAT(message, HasSubstr("optimizer: 'model.norm.weight' is F32 [3], wanted F32 [4]"));
  EXPECT_THAT(message, HasSubstr("state.json: 'ema' is missing"));
  EXPECT_THAT(message, HasSubstr("masters.safetensors is missing"));
  EXPECT_THAT(message, HasSubstr("fix: "));
  EXPECT_EQ(other.moments[0], 9);
}

TEST(Resume, state_that_nobody_asks_for_is_named) {
  ScratchFolder folder;
  Counters before;
  before.state().save(folder.path());
  const auto message = refusal(ResumeState(), folder.path());
  EXPECT_THAT(message, HasSubstr("optimizer.safetensors is not known here"));
  EXPECT_THAT(message, HasSubstr("'loop' is not known here"));

  ResumeState renamed;
  renamed.add_tensors("optimizer", {});
  renamed.add_value(
      "loop", [] { return 0; }, [](const nlohmann::json&) {});
  EXPECT_THAT(refusal(std::move(renamed), folder.path()),
              HasSubstr("optimizer: 'model.norm.weight' is not known here"));
}

TEST(Resume, many_differences_are_cut_and_counted) {
  ScratchFolder folder;
  ResumeState().save(folder.path());
  ResumeState many;
  for (int i = 0; i < 20; ++i)
    many.add_value(
        "v" + std::to_string(i), [] { return 0; }, [](const nlohmann::json&) {});
  const auto message = refusal(std::move(many), folder.path());
  EXPECT_THAT(message, HasSubstr("and 12 more"));
  EXPECT_THAT(message, Not(HasSubstr("'v9'")));
}

TEST(Resume, broken_files_are_named) {
  ScratchFolder folder;
  Counters counters;
  EXPECT_THAT(refusal(counters.state(), folder.path()), HasSubstr("state.json"));
  counters.state().save(folder.path());
  OutputFile(folder / "optimizer.safetensors").write("garbage");
  EXPECT_THAT(refusal(counters.state(), folder.path()),
              HasSubstr("optimizer.safetensors: has 7 bytes"));
}

TEST(Resume, a_component_has_a_plain_name_of_its_own) {
  ResumeState state;
  state.add_tensors("optimizer", {});
  const auto save = [] { return nlohmann::json(); };
  const auto load = [](const nlohmann::json&) {};
  EXPECT_THROW(state.add_tensors("optimizer", {}), Error);
  EXPECT_THROW(state.add_value("optimizer", save, load), Error);
  EXPECT_THROW(state.add_value("../x", save, load), Error);
  EXPECT_THROW(state.add_value("", save, load), Error);
}

}  // namespace
}  // namespace lmms::checkpoint
