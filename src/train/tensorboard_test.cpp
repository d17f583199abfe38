#include "train/tensorboard.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "core/format.h"

namespace lmms::train {
namespace {

namespace fs = std::filesystem;
using Scalars = std::vector<EventFile::Scalar>;

fs::path empty_folder(const std::string& name) {
  const fs::path folder = fs::path(testing::TempDir()) / name;
  fs::remove_all(folder);
  return folder;
}

std::vector<std::string> names_in(const fs::path& folder) {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(folder))
    names.push_back(entry.path().filename().string());
  std::sort(names.begin(), names.end());
  return names;
}

TEST(TensorBoard, events_have_the_bytes_of_tensorboards_own_classes) {
  Scalars terms;
  for (int i = 0; i < 20; ++i) terms.emplace_back(fmt::format("train/term_{}", i), i / 7.0);
  const double infinity = std::numeric_limits<double>::infinity();
  const auto scalars = [](double wall_time, int64_t step, const Scalars& values) {
    return event_records::scalars(wall_time, step, values);
  };
  const std::string bytes =
      event_records::version(1764000000.25) + event_records::session_start(1764000000.5, 101) +
      scalars(1764000001.0, 101,
              {{"train/loss", 2.3456789}, {"train/learning_rate", 1e-5}, {"train/grad_norm", 0}}) +
      scalars(1764000002.125, 0, {{"eval/loss", -1.5}}) +
      scalars(0, int64_t{1} << 40, {{"train/a longer name, ümlaut", 3.4e38}}) +
      scalars(1764000003.0, 102, {{"train/loss", std::nan("")}, {"train/x", infinity}}) +
      scalars(1764000004.0, 300, terms) + scalars(1764000005.0, 301, {});
  const auto golden = read_file(LMMS_SOURCE_DIR "/src/train/testdata/tensorboard.tfevents");
  ASSERT_TRUE(golden.ok());
  EXPECT_TRUE(bytes == *golden);
}

TEST(TensorBoard, a_file_begins_with_its_version_and_the_start_of_the_session) {
  const fs::path folder = empty_folder("tensorboard_begin");
  EventFile file(folder / "runs" / "a", 7);
  const std::string text = read_file(file.path()).take();
  EXPECT_THAT(text, testing::HasSubstr("brain.Event:2"));
  EXPECT_EQ(text.size(),
            event_records::version(1).size() + event_records::session_start(1, 7).size());
  EXPECT_THAT(file.path().filename().string(), testing::StartsWith("events.out.tfevents."));
  EXPECT_THAT(file.path().filename().string(), testing::EndsWith(".0"));
}

TEST(TensorBoard, what_was_added_is_in_the_file_after_a_flush_and_at_the_end) {
  const fs::path folder = empty_folder("tensorboard_flush");
  fs::path path;
  const Scalars values{{"train/loss", 1}};
  const std::string one = event_records::scalars(3, 1, values);
  {
    EventFile file(folder, 1);
    path = file.path();
    file.scalars(1, 3, values);
    file.flush();
    EXPECT_TRUE(read_file(path).take().ends_with(one));
    file.scalars(1, 3, values);
  }
  EXPECT_TRUE(read_file(path).take().ends_with(one + one));
}

TEST(TensorBoard, files_of_later_starts_sort_behind_earlier_ones) {
  const fs::path folder = empty_folder("tensorboard_order");
  std::vector<std::string> made;
  for (int64_t step : {1, 5, 9}) {
    EventFile file(folder, step);
    made.push_back(file.path().filename().string());
  }
  EXPECT_EQ(names_in(folder), made);
}

TEST(TensorBoard, tags_follow_hugging_face) {
  EXPECT_EQ(event_tag("loss"), "train/loss");
  EXPECT_EQ(event_tag("learning_rate"), "train/learning_rate");
  EXPECT_EQ(event_tag("eval_loss"), "eval/loss");
  EXPECT_EQ(event_tag("evaluate"), "train/evaluate");
}

TEST(TensorBoard, the_folder_is_named_by_the_run) {
  EXPECT_EQ(event_folder("out/qwen3", std::nullopt), fs::path("out/qwen3/runs/qwen3"));
  EXPECT_EQ(event_folder("out/qwen3/", std::nullopt), fs::path("out/qwen3/runs/qwen3"));
  EXPECT_EQ(event_folder("out", "lr 1e-5"), fs::path("out/runs/lr 1e-5"));
  EXPECT_EQ(event_folder("out", "../a/b"), fs::path("out/runs/.._a_b"));
  EXPECT_EQ(event_folder("out", ".."), fs::path("out/runs/run"));
}

TEST(TensorBoard, a_folder_that_cannot_be_made_is_an_error_that_names_it) {
  const fs::path folder = empty_folder("tensorboard_file");
  write_atomically(folder, "a file");
  try {
    EventFile file(folder / "runs", 1);
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), testing::HasSubstr("tensorboard_file/runs"));
    EXPECT_EQ(error.exit(), Exit::failed);
  }
}

// scripts/check_tensorboard.py reads this folder with TensorBoard's own reader.
TEST(TensorBoard, a_run_that_went_on_is_written_beside_its_metrics) {
  const fs::path folder = empty_folder("tensorboard_run");
  const fs::path events = event_folder(folder, std::nullopt);
  std::string metrics;
  const auto row = [&](EventFile& file, int64_t step, double loss, bool kept) {
    const Scalars values{{event_tag("loss"), loss}, {event_tag("learning_rate"), 1e-4 / step}};
    file.scalars(step, 1.7e9 + static_cast<double>(step), values);
    if (kept)
      metrics += fmt::format("{{\"step\":{},\"loss\":{},\"learning_rate\":{}}}\n", step, loss,
                             1e-4 / step);
  };
  {
    EventFile first(events, 1);
    for (int64_t step = 1; step <= 30; ++step) row(first, step, 3.0 / step, step <= 20);
  }
  EventFile second(events, 21);  // from checkpoint-20: steps 21 to 30 are trained again
  for (int64_t step = 21; step <= 50; ++step) row(second, step, 2.0 / step, true);
  const Scalars evaluation{{event_tag("eval_loss"), 0.25}};
  second.scalars(50, 1.8e9, evaluation);
  metrics += "{\"step\":50,\"eval_loss\":0.25}\n";
  second.flush();
  write_atomically(folder / "metrics.jsonl", metrics);
  EXPECT_EQ(names_in(events).size(), 2u);
}

}  // namespace
}  // namespace lmms::train
