#include "checkpoint/checkpoint_dir.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <random>
#include <thread>

#include "checkpoint/hf_folder.h"
#include "checkpoint/hf_write.h"
#include "checkpoint/json_file.h"
#include "checkpoint/resume.h"
#include "checkpoint/scratch_folder.h"

namespace lmms::checkpoint {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr int64_t kElements = 4096;

/// Two tensors whose every element is `value`.
std::vector<TensorSource> constant_tensors(int32_t value) {
  const auto produce = [value](const ByteSink& sink) {
    const std::vector<int32_t> data(kElements, value);
    sink(std::as_bytes(std::span(data)));
  };
  return {{"a", DType::i32, {kElements}, produce}, {"b", DType::i32, {kElements}, produce}};
}

FileSums fill_model(const fs::path& folder, int32_t value, uint64_t shard = kMaxShardBytes) {
  return write_model(
      folder,
      {.config = {{"value", value}}, .tensors = constant_tensors(value), .max_shard_bytes = shard});
}

Checkpoint save(const fs::path& output, int64_t step, int32_t value) {
  PendingCheckpoint pending(output, step);
  pending.add(fill_model(pending.path(), value));
  ResumeState resume;
  resume.add_value(
      "step", [&] { return nlohmann::json(value); }, [](const nlohmann::json&) {});
  pending.add(resume.save(pending.resume_path()));
  return pending.commit();
}

/// The one value that fills a model folder; -1 if it holds several.
int32_t value_of(const fs::path& folder) {
  const auto index = HfFolder::open(folder).take().weights().take();
  EXPECT_EQ(index.tensors().size(), 2u);
  int32_t value = 0;
  std::memcpy(&value, index.find("a")->bytes.data(), sizeof(value));
  for (const auto& [name, view] : index.tensors()) {
    std::vector<int32_t> data(kElements);
    std::memcpy(data.data(), view->bytes.data(), view->bytes.size());
    if (data != std::vector<int32_t>(kElements, value)) return -1;
  }
  return value;
}

std::vector<int64_t> steps_in(const fs::path& output) {
  std::vector<int64_t> steps;
  for (const auto& checkpoint : find_checkpoints(output).complete) steps.push_back(checkpoint.step);
  return steps;
}

std::vector<std::string> names_in(const fs::path& folder) {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(folder))
    names.push_back(entry.path().filename().string());
  std::sort(names.begin(), names.end());
  return names;
}

TEST(Checkpoints, a_committed_one_is_found_and_its_temporary_is_gone) {
  ScratchFolder output;
  const auto saved = save(output.path(), 5, 50);
  EXPECT_EQ(saved.path, output / "checkpoint-5");
  EXPECT_THAT(names_in(output.path()), ElementsAre("checkpoint-5"));
  const auto found = find_checkpoints(output.path());
  EXPECT_THAT(found.ignored, IsEmpty());
  ASSERT_EQ(found.complete.size(), 1u);
  EXPECT_EQ(found.complete[0].step, 5);
  EXPECT_EQ(value_of(found.complete[0].path), 50);
}

TEST(Checkpoints, they_are_ordered_by_number) {
  ScratchFolder output;
  for (const int step : {100, 9, 20}) save(output.path(), step, step);
  EXPECT_THAT(steps_in(output.path()), ElementsAre(9, 20, 100));
}

TEST(Checkpoints, an_output_folder_that_does_not_exist_holds_none) {
  ScratchFolder output;
  EXPECT_THAT(steps_in(output / "absent"), IsEmpty());
  remove_leftovers(output / "absent");
}

TEST(Checkpoints, an_output_folder_that_cannot_be_read_is_an_error_not_a_fresh_start) {
  ScratchFolder output;
  OutputFile(output / "file").write("no folder");
  EXPECT_THROW(find_checkpoints(output / "file"), Error);
}

TEST(Checkpoints, an_uncommitted_one_disappears) {
  ScratchFolder output;
  {
    PendingCheckpoint pending(output.path(), 5);
    fill_model(pending.path(), 1);
    EXPECT_THAT(steps_in(output.path()), IsEmpty());
  }
  EXPECT_THAT(names_in(output.path()), IsEmpty());
}

TEST(Checkpoints, other_names_are_not_looked_at) {
  ScratchFolder output;
  for (const char* name : {"checkpoint-x", "checkpoint-", "checkpoint-007", "checkpoint--1",
                           "checkpoint-5x", "checkpoint-99999999999999999999", "checkpoint-5.old"})
    fs::create_directories(output / name);
  OutputFile(output / "checkpoint-7").write("a file");
  const auto found = find_checkpoints(output.path());
  EXPECT_THAT(found.complete, IsEmpty());
  EXPECT_THAT(found.ignored, IsEmpty());
}

TEST(Checkpoints, incomplete_ones_are_passed_over_with_a_reason) {
  ScratchFolder output;
  save(output.path(), 1, 1);
  const auto broken = [&](int64_t step, auto damage, const char* reason) {
    const auto saved = save(output.path(), step, 1);
    damage(saved.path);
    EXPECT_THAT(steps_in(output.path()), ElementsAre(1));
    const auto ignored = find_checkpoints(output.path()).ignored;
    ASSERT_EQ(ignored.size(), 1u) << reason;
    EXPECT_THAT(ignored[0].text(), HasSubstr(reason));
    EXPECT_EQ(find_checkpoints(output.path()).own_ignored, fs::exists(saved.path / "resume"));
    fs::remove_all(saved.path);
  };
  EXPECT_FALSE(find_checkpoints(output.path()).own_ignored);
  broken(
      2, [](const fs::path& p) { fs::remove_all(p / "resume"); }, "holds no resume/manifest.json");
  broken(
      3, [](const fs::path& p) { fs::remove(p / "model.safetensors"); }, "is missing");
  broken(
      4, [](const fs::path& p) { fs::resize_file(p / "model.safetensors", 100); }, "has 100 bytes");
  broken(
      5, [](const fs::path& p) { fs::remove(p / "resume/state.json"); }, "state.json: is missing");
  broken(
      6, [](const fs::path& p) { OutputFile(p / "resume/manifest.json").write("{"); },
      "no valid JSON");
  broken(
      7, [](const fs::path& p) { OutputFile(p / "resume/manifest.json").write("{}"); }, "format");
  broken(
      8,
      [](const fs::path& p) {
        OutputFile(p / "resume/manifest.json").write(R"({"format":1,"step":9,"files":{}})");
      },
      "another step");
  broken(
      9,
      [](const fs::path& p) {
        OutputFile(p / "resume/manifest.json").write(R"({"format":1,"step":9,"files":[]})");
      },
      "should hold files");
}

TEST(Checkpoints, a_config_edited_by_hand_leaves_them_complete) {
  ScratchFolder output;
  OutputFile(save(output.path(), 5, 1).path / "config.json").write("{\"edited\": true}");
  EXPECT_THAT(steps_in(output.path()), ElementsAre(5));
}

TEST(Checkpoints, saving_a_number_again_replaces_it) {
  ScratchFolder output;
  save(output.path(), 5, 50);
  save(output.path(), 5, 51);
  EXPECT_THAT(names_in(output.path()), ElementsAre("checkpoint-5"));
  EXPECT_EQ(value_of(output / "checkpoint-5"), 51);
}

TEST(Checkpoints, what_this_program_did_not_write_is_moved_aside_not_deleted) {
  ScratchFolder output;
  for (const char* text : {"first", "second"}) {
    fs::remove_all(output / "checkpoint-5");
    fs::create_directories(output / "checkpoint-5");
    OutputFile(output / "checkpoint-5/optimizer.pt").write(text);
    save(output.path(), 5, 50);
  }
  EXPECT_THAT(names_in(output.path()),
              ElementsAre("checkpoint-5", "checkpoint-5.old", "checkpoint-5.old2"));
  EXPECT_EQ(read_file(output / "checkpoint-5.old2/optimizer.pt").take(), "second");
}

TEST(Checkpoints, leftovers_are_removed_and_nothing_else_is) {
  ScratchFolder output;
  save(output.path(), 5, 1);
  for (const char* name : {".tmp-checkpoint-7-12-0", ".tmp-delete-checkpoint-3-9-1",
                           ".tmp-model-4-2", "mine", ".tmp-mine"})
    fs::create_directories(output / name / "resume");
  remove_leftovers(output.path());
  EXPECT_THAT(names_in(output.path()), ElementsAre(".tmp-mine", "checkpoint-5", "mine"));
}

TEST(Checkpoints, a_replacement_cut_between_two_renames_is_taken_back) {
  ScratchFolder output;
  save(output.path(), 5, 50);
  fs::rename(output / "checkpoint-5", output / ".tmp-replaced-checkpoint-5");
  remove_leftovers(output.path());
  EXPECT_EQ(value_of(output / "checkpoint-5"), 50);

  fs::copy(output / "checkpoint-5", output / ".tmp-replaced-checkpoint-5",
           fs::copy_options::recursive);
  remove_leftovers(output.path());
  EXPECT_THAT(names_in(output.path()), ElementsAre("checkpoint-5"));
}

TEST(Rotation, keeps_the_newest_and_never_what_was_just_written) {
  ScratchFolder output;
  for (const int step : {10, 20, 30}) save(output.path(), step, step);
  const auto newest = save(output.path(), 15, 15);
  EXPECT_THAT(rotate_checkpoints(output.path(), 0, newest), IsEmpty());
  EXPECT_THAT(rotate_checkpoints(output.path(), 4, newest), IsEmpty());
  EXPECT_THAT(rotate_checkpoints(output.path(), 3, newest), ElementsAre(10));
  EXPECT_THAT(steps_in(output.path()), ElementsAre(15, 20, 30));
  EXPECT_THAT(rotate_checkpoints(output.path(), 1, newest), ElementsAre(20, 30));
  EXPECT_THAT(names_in(output.path()), ElementsAre("checkpoint-15"));
}

TEST(Rotation, keeps_the_best_beside_the_newest) {
  ScratchFolder output;
  for (const int step : {10, 20, 30}) save(output.path(), step, step);
  const auto newest = save(output.path(), 40, 40);
  EXPECT_THAT(rotate_checkpoints(output.path(), 3, newest, 10), ElementsAre(20));
  EXPECT_THAT(rotate_checkpoints(output.path(), 1, newest, 10), ElementsAre(30));
  EXPECT_THAT(names_in(output.path()), ElementsAre("checkpoint-10", "checkpoint-40"));
}

TEST(Rotation, leaves_incomplete_folders_alone) {
  ScratchFolder output;
  fs::create_directories(output / "checkpoint-1");
  save(output.path(), 2, 2);
  const auto newest = save(output.path(), 3, 3);
  EXPECT_THAT(rotate_checkpoints(output.path(), 1, newest), ElementsAre(2));
  EXPECT_THAT(names_in(output.path()), ElementsAre("checkpoint-1", "checkpoint-3"));
}

TEST(PublishModel, changes_between_one_file_and_shards_leave_no_stale_weights) {
  ScratchFolder output;
  OutputFile(output / "metrics.jsonl").write("kept");
  const uint64_t one_tensor = kElements * sizeof(int32_t);
  publish_model(output.path(), [](const fs::path& folder) { fill_model(folder, 1); });
  EXPECT_THAT(names_in(output.path()),
              ElementsAre("config.json", "metrics.jsonl", "model.safetensors"));
  EXPECT_EQ(value_of(output.path()), 1);

  publish_model(output.path(), [&](const fs::path& folder) { fill_model(folder, 2, one_tensor); });
  EXPECT_THAT(names_in(output.path()),
              ElementsAre("config.json", "metrics.jsonl", "model-00001-of-00002.safetensors",
                          "model-00002-of-00002.safetensors", "model.safetensors.index.json"));
  EXPECT_EQ(value_of(output.path()), 2);

  publish_model(output.path(), [](const fs::path& folder) { fill_model(folder, 3); });
  EXPECT_THAT(names_in(output.path()),
              ElementsAre("config.json", "metrics.jsonl", "model.safetensors"));
  EXPECT_EQ(value_of(output.path()), 3);
  EXPECT_EQ(HfFolder::open(output.path()).take().config().at("value"), 3);
}

TEST(PublishModel, an_error_while_filling_changes_nothing) {
  ScratchFolder output;
  publish_model(output.path(), [](const fs::path& folder) { fill_model(folder, 1); });
  EXPECT_THROW(publish_model(output.path(),
                             [](const fs::path& folder) {
                               fill_model(folder, 2);
                               throw Error("disk", "full", "", Exit::failed);
                             }),
               Error);
  EXPECT_THAT(names_in(output.path()), ElementsAre("config.json", "model.safetensors"));
  EXPECT_EQ(value_of(output.path()), 1);
}

/// Runs `work` over and over in child processes and kills each at a random moment of its first
/// three turns; after each, `check` looks at what is left. `work` is run once here first, to learn
/// how long a turn takes.
void kill_repeatedly(int rounds, uint32_t seed, const std::function<void()>& work,
                     const std::function<void()>& check) {
  const auto begin = std::chrono::steady_clock::now();
  work();
  const auto turn = std::chrono::steady_clock::now() - begin;
  std::mt19937 random(seed);
  for (int round = 0; round < rounds; ++round) {
    const pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0)
      for (;;) work();
    std::this_thread::sleep_for(turn * (1 + random() % 300) / 100);
    ::kill(child, SIGKILL);
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    check();
    if (testing::Test::HasFatalFailure()) return;
  }
}

TEST(Killed, a_run_leaves_its_last_checkpoint_whole_at_any_moment) {
  ScratchFolder output;
  int64_t last = 0;
  int kills_inside_a_save = 0;
  const auto go_on = [&] {
    const auto complete = find_checkpoints(output.path()).complete;
    const int64_t step = complete.empty() ? 1 : complete.back().step + 1;
    const auto saved = save(output.path(), step, static_cast<int32_t>(step));
    rotate_checkpoints(output.path(), 2, saved);
  };
  kill_repeatedly(25, 7, go_on, [&] {
    for (const auto& name : names_in(output.path()))
      kills_inside_a_save += name.starts_with(".tmp-") ? 1 : 0;
    remove_leftovers(output.path());
    for (const auto& name : names_in(output.path()))
      ASSERT_TRUE(name.starts_with("checkpoint-")) << name;
    const auto found = find_checkpoints(output.path());
    ASSERT_THAT(found.ignored, IsEmpty());
    ASSERT_FALSE(found.complete.empty());
    for (const auto& checkpoint : found.complete) {
      ASSERT_EQ(value_of(checkpoint.path), checkpoint.step);
      const auto state = read_json_object(checkpoint.path / "resume/state.json").take();
      ASSERT_EQ(state.at("step"), checkpoint.step);
    }
    ASSERT_GE(found.complete.back().step, last);
    last = found.complete.back().step;
  });
  EXPECT_GT(last, 1);
  EXPECT_GT(kills_inside_a_save, 0);
  go_on();
  EXPECT_THAT(steps_in(output.path()), ElementsAre(last, last + 1));
}

TEST(Killed, replacing_a_checkpoint_leaves_the_old_or_the_new_one) {
  ScratchFolder output;
  int32_t value = 0;
  kill_repeatedly(
      12, 8, [&] { save(output.path(), 5, ++value); },
      [&] {
        remove_leftovers(output.path());
        ASSERT_THAT(steps_in(output.path()), ElementsAre(5));
        ASSERT_GT(value_of(output / "checkpoint-5"), 0);
      });
}

TEST(Killed, publishing_leaves_no_torn_or_mixed_model) {
  ScratchFolder output;
  const uint64_t one_tensor = kElements * sizeof(int32_t);
  int32_t value = 0;
  int whole = 0;
  const auto publish = [&] {
    ++value;
    publish_model(output.path(), [&](const fs::path& folder) {
      fill_model(folder, value, value % 3 == 0 ? kMaxShardBytes : one_tensor);
    });
  };
  kill_repeatedly(20, 9, publish, [&] {
    remove_leftovers(output.path());
    const auto folder = HfFolder::open(output.path());
    ASSERT_TRUE(folder.ok());
    if (!folder->has_weights()) return;  // between the removal of the old index and the new one
    ASSERT_GT(value_of(output.path()), 0);
    ++whole;
  });
  EXPECT_GT(whole, 0);
}

/// Saves 1, then saves 2 until the disk is full; checks the error and what is left.
void expect_full_disk_leaves_the_last_checkpoint(const fs::path& output) {
  try {
    PendingCheckpoint pending(output, 2);
    write_model(pending.path(), {.config = nlohmann::json::object(),
                                 .tensors = {{"a", DType::u8, {4 << 20}, [](const ByteSink& sink) {
                                                const std::vector<std::byte> piece(1 << 16);
                                                for (int i = 0; i < 64; ++i) sink(piece);
                                              }}}});
    FAIL() << "4 MiB fitted";
  } catch (const Error& error) {
    EXPECT_EQ(error.exit(), Exit::failed);
    EXPECT_THAT(error.what(), HasSubstr("model.safetensors: writing failed"));
  }
  EXPECT_THAT(names_in(output), ElementsAre("checkpoint-1"));
  EXPECT_EQ(value_of(output / "checkpoint-1"), 1);
}

TEST(FullDisk, is_an_error_that_names_the_file_and_leaves_the_last_checkpoint) {
  ScratchFolder output;
  if (::mount("tmpfs", output.path().c_str(), "tmpfs", 0, "size=1m") != 0)
    GTEST_SKIP() << "a small tmpfs cannot be mounted here: " << std::strerror(errno);
  save(output.path(), 1, 1);
  expect_full_disk_leaves_the_last_checkpoint(output.path());
  EXPECT_EQ(::umount(output.path().c_str()), 0);
}

TEST(FullDisk, so_is_a_limit_of_file_sizes) {
  ScratchFolder output;
  save(output.path(), 1, 1);
  const pid_t child = ::fork();
  if (child == 0) {
    ::signal(SIGXFSZ, SIG_IGN);
    const rlimit limit{1 << 20, 1 << 20};
    ::setrlimit(RLIMIT_FSIZE, &limit);
    expect_full_disk_leaves_the_last_checkpoint(output.path());
    ::_exit(testing::Test::HasFailure() ? 1 : 0);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

}  // namespace
}  // namespace lmms::checkpoint
