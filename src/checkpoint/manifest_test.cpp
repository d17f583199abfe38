#include "checkpoint/manifest.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <numeric>

#include "checkpoint/checkpoint_dir.h"
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

std::vector<TensorSource> tensors() {
  const auto produce = [](const ByteSink& sink) {
    std::vector<float> data(64);
    std::iota(data.begin(), data.end(), 1.f);
    sink(std::as_bytes(std::span(data)));
  };
  return {{"a", DType::f32, {64}, produce}, {"b", DType::f32, {64}, produce}};
}

/// A checkpoint of everything there can be: shards and their index, averages, an optimiser, values,
/// a tokenizer.
Checkpoint save(const fs::path& output, int64_t step = 5) {
  PendingCheckpoint pending(output, step);
  const auto side_files =
      std::make_shared<SideFiles>(SideFiles{{"tokenizer.json", R"({"model": {}})"}});
  const ModelFiles model{.config = {{"hidden_size", 64}},
                         .tensors = tensors(),
                         .side_files = side_files,
                         .max_shard_bytes = 256};
  pending.add(write_model(pending.path(), model));
  fs::create_directory(pending.path() / "ema");
  pending.add(write_model(pending.path() / "ema", model));
  ResumeState resume;
  resume.add_tensors("first_moment", {{.name = "a",
                                       .dtype = DType::f32,
                                       .shape = {64},
                                       .save = tensors()[0].produce,
                                       .load = [](std::span<const std::byte>) {}}});
  resume.add_value(
      "run",
      [] {
        return nlohmann::json{{"step", 1234567}};
      },
      [](const nlohmann::json&) {});
  pending.add(resume.save(pending.resume_path()));
  return pending.commit();
}

void flip_bit(const fs::path& file, size_t byte, int bit = 0) {
  std::string text = read_file(file).take();
  text.at(byte) = static_cast<char>(text.at(byte) ^ 1 << bit);
  OutputFile(file).write(text);
}

/// The damage that is found; empty: none.
std::string damage_of(const fs::path& checkpoint) {
  const auto found = compare_with_manifest(checkpoint);
  return found.damage ? found.damage->text() : "";
}

const std::vector<std::string> kReadByRuns{
    "ema/model-00001-of-00002.safetensors", "ema/model-00002-of-00002.safetensors",
    "ema/model.safetensors.index.json",     "model-00001-of-00002.safetensors",
    "model-00002-of-00002.safetensors",     "model.safetensors.index.json",
    "resume/first_moment.safetensors",      "resume/state.json"};

TEST(Manifest, names_every_file_with_what_it_held) {
  ScratchFolder output;
  const auto saved = save(output.path());
  const auto manifest = read_manifest(saved.path).take();
  EXPECT_EQ(manifest.step, 5);
  EXPECT_TRUE(manifest.has_checksums);
  std::vector<std::string> read_by_runs, others;
  for (const auto& [name, sum] : manifest.files) {
    (is_read_by_runs(name) ? read_by_runs : others).push_back(name);
    EXPECT_EQ(sum, *sums_of({saved.path / name})[0]) << name;
  }
  EXPECT_EQ(read_by_runs, kReadByRuns);
  EXPECT_THAT(others, ElementsAre("config.json", "ema/config.json", "ema/tokenizer.json",
                                  "tokenizer.json"));
  const auto found = compare_with_manifest(saved.path);
  EXPECT_FALSE(found.damage);
  EXPECT_THAT(found.edited, IsEmpty());
}

TEST(Manifest, takes_sums_from_the_writers_and_reads_only_what_they_do_not_name) {
  ScratchFolder output;
  PendingCheckpoint pending(output.path(), 1);
  pending.add(write_model(pending.path(), {.config = {}, .tensors = tensors()}));
  OutputFile(pending.resume_path() / "state.json").write("{}");
  const FileSum invented{7, 42};
  pending.add({{pending.path() / "config.json", invented}});  // named before: the first one holds
  pending.add({{pending.resume_path() / "other.json", invented}});  // no such file
  OutputFile(pending.path() / "vocab.json").write("of 15 bytes now");
  pending.add({{pending.path() / "vocab.json", invented}});
  const auto manifest = read_manifest(pending.commit().path).take();
  EXPECT_EQ(manifest.files.at("vocab.json"), invented);  // believed: not read again
  EXPECT_EQ(manifest.files.at("resume/state.json").bytes, 2u);
  EXPECT_FALSE(manifest.files.contains("resume/other.json"));
  EXPECT_NE(manifest.files.at("config.json"), invented);
}

TEST(Damage, of_one_bit_anywhere_is_found_and_named) {
  ScratchFolder output;
  const auto saved = save(output.path());
  for (const auto& name : kReadByRuns) {
    const fs::path file = saved.path / name;
    const size_t size = fs::file_size(file);
    // a safetensors' length, its header, the middle, the data's last byte
    for (const size_t at : {size_t{0}, size_t{9}, size / 2, size - 1}) {
      flip_bit(file, at);
      EXPECT_THAT(damage_of(saved.path), HasSubstr(file.string() + ": is damaged")) << at;
      flip_bit(file, at);
    }
    EXPECT_EQ(damage_of(saved.path), "");
  }
}

TEST(Damage, of_a_digit_in_the_state_is_found) {
  ScratchFolder output;
  const auto saved = save(output.path());
  const fs::path file = saved.path / "resume/state.json";
  std::string text = read_file(file).take();
  text.replace(text.find("1234567"), 7, "1234568");
  OutputFile(file).write(text);
  EXPECT_FALSE(incomplete(saved.path, 5));  // sizes and JSON are in order
  EXPECT_THAT(damage_of(saved.path), HasSubstr("state.json: is damaged"));
}

TEST(Damage, by_cutting_extending_or_removing_is_found_by_sizes_alone) {
  ScratchFolder output;
  for (const auto& name : kReadByRuns) {
    const auto saved = save(output.path());
    const fs::path file = saved.path / name;
    const auto size = fs::file_size(file);
    for (const auto other : {size - 1, size + 1}) {
      fs::resize_file(file, other);
      ASSERT_TRUE(incomplete(saved.path, 5)) << name;
      EXPECT_THAT(incomplete(saved.path, 5)->text(), HasSubstr(file.string() + ": has"));
      EXPECT_THAT(damage_of(saved.path), HasSubstr("is damaged"));
    }
    fs::remove(file);
    EXPECT_THAT(incomplete(saved.path, 5)->text(), HasSubstr(file.string() + ": is missing"));
    EXPECT_THAT(damage_of(saved.path), HasSubstr(file.string()));
    fs::remove_all(saved.path);
  }
}

TEST(Damage, of_the_manifest_itself_is_found_at_every_byte) {
  ScratchFolder output;
  const auto saved = save(output.path());
  const fs::path file = saved.path / "resume/manifest.json";
  const std::string text = read_file(file).take();
  const auto before = read_manifest(saved.path).take();
  size_t found = 0;
  for (size_t at = 0; at < text.size(); ++at) {
    for (const int bit : {0, 2}) {
      flip_bit(file, at, bit);
      const auto now = read_manifest(saved.path);
      flip_bit(file, at, bit);
      if (!now) {
        ++found;
        continue;
      }
      // white space and the case of digits carry no meaning
      EXPECT_EQ(now->files, before.files) << at;
      EXPECT_EQ(now->step, before.step) << at;
      EXPECT_TRUE(now->has_checksums) << at;
    }
  }
  EXPECT_GT(found, text.size());
}

TEST(Damage, of_a_manifest_whose_names_leave_the_checkpoint_is_refused) {
  ScratchFolder output;
  const auto saved = save(output.path());
  for (const char* name : {"../x", "/etc/passwd", "a/../../x", ""}) {
    write_json(saved.path / "resume/manifest.json",
               {{"format", 1}, {"step", 5}, {"files", {{name, 3}}}});
    EXPECT_FALSE(read_manifest(saved.path).ok()) << name;
  }
}

TEST(EditedFiles, that_no_run_reads_are_named_and_do_no_harm) {
  ScratchFolder output;
  const auto saved = save(output.path());
  OutputFile(saved.path / "config.json").write("{\"hidden_size\": 65}");
  fs::remove(saved.path / "tokenizer.json");
  OutputFile(saved.path / "README.md").write("mine");  // not of the checkpoint
  EXPECT_FALSE(incomplete(saved.path, 5));
  const auto found = compare_with_manifest(saved.path);
  EXPECT_FALSE(found.damage);
  EXPECT_THAT(found.edited, ElementsAre("config.json", "tokenizer.json"));
}

TEST(EarlierVersions, wrote_sizes_alone_and_are_still_read) {
  ScratchFolder output;
  const auto saved = save(output.path());
  auto files = nlohmann::json::object();
  for (const auto& name : kReadByRuns) files[name] = fs::file_size(saved.path / name);
  const nlohmann::json manifest = {{"format", 1}, {"step", 5}, {"files", files}};
  write_json(saved.path / "resume/manifest.json", manifest);
  EXPECT_FALSE(incomplete(saved.path, 5));
  const auto found = compare_with_manifest(saved.path);
  EXPECT_FALSE(found.damage);
  EXPECT_FALSE(found.has_checksums);
  // a manifest with checksums does not become one of these by a flipped bit
  const auto second = save(output.path());
  auto newer = read_json_object(second.path / "resume/manifest.json").take();
  newer["format"] = 1;
  write_json(second.path / "resume/manifest.json", newer);
  EXPECT_FALSE(read_manifest(second.path).ok());
}

}  // namespace
}  // namespace lmms::checkpoint
