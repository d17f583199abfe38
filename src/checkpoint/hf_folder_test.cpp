#include "checkpoint/hf_folder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "checkpoint/hf_write.h"
#include "checkpoint/json_file.h"
#include "checkpoint/scratch_folder.h"
#include "core/files.h"

namespace lmms::checkpoint {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::HasSubstr;

void put(const fs::path& path, std::string_view text) {
  fs::create_directories(path.parent_path());
  OutputFile(path).write(text);
}

/// Tensors t0, t1, ... of the given sizes in bytes; every byte of tensor i is i + 1.
std::vector<TensorSource> sources_of(const std::vector<int64_t>& sizes) {
  std::vector<TensorSource> sources;
  for (size_t i = 0; i < sizes.size(); ++i)
    sources.push_back(
        {"t" + std::to_string(i),
         DType::u8,
         {sizes[i]},
         [fill = static_cast<std::byte>(i + 1), size = sizes[i]](const ByteSink& sink) {
           sink(std::vector<std::byte>(static_cast<size_t>(size), fill));
         }});
  return sources;
}

std::vector<std::string> files_of(const fs::path& folder) {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(folder))
    names.push_back(entry.path().filename().string());
  std::sort(names.begin(), names.end());
  return names;
}

void write(const fs::path& folder, const std::vector<int64_t>& sizes, uint64_t shard) {
  write_model(folder, {.config = {{"model_type", "qwen3"}},
                       .tensors = sources_of(sizes),
                       .max_shard_bytes = shard});
}

void expect_tensors(const fs::path& folder, const std::vector<int64_t>& sizes) {
  const auto index = HfFolder::open(folder).take().weights().take();
  ASSERT_EQ(index.tensors().size(), sizes.size());
  for (size_t i = 0; i < sizes.size(); ++i) {
    const TensorView* view = index.find("t" + std::to_string(i));
    ASSERT_NE(view, nullptr);
    ASSERT_EQ(view->shape, Shape{sizes[i]});
    for (const std::byte byte : view->bytes) ASSERT_EQ(byte, static_cast<std::byte>(i + 1));
  }
}

TEST(HfFolder, a_small_model_is_one_file) {
  ScratchFolder folder;
  write(folder.path(), {6, 6, 2}, 14);
  EXPECT_THAT(files_of(folder.path()), ElementsAre("config.json", "model.safetensors"));
  expect_tensors(folder.path(), {6, 6, 2});
  EXPECT_EQ(HfFolder::open(folder.path()).take().config().at("model_type"), "qwen3");
}

TEST(HfFolder, a_model_without_tensors_is_one_file) {
  ScratchFolder folder;
  write(folder.path(), {}, 14);
  expect_tensors(folder.path(), {});
}

TEST(HfFolder, shards_are_cut_in_order_as_huggingface_hub_cuts_them) {
  ScratchFolder folder;
  write(folder.path(), {6, 6, 2, 6, 2, 2}, 10);  // the example in huggingface_hub's docstring
  EXPECT_THAT(files_of(folder.path()),
              ElementsAre("config.json", "model-00001-of-00003.safetensors",
                          "model-00002-of-00003.safetensors", "model-00003-of-00003.safetensors",
                          "model.safetensors.index.json"));
  const auto index = read_json_object(folder / "model.safetensors.index.json").take();
  EXPECT_EQ(index.at("metadata").at("total_size"), 24);
  EXPECT_EQ(index.at("metadata").at("total_parameters"), 24);
  std::vector<std::string> shard_of;
  for (int i = 0; i < 6; ++i)
    shard_of.push_back(
        index.at("weight_map").at("t" + std::to_string(i)).get<std::string>().substr(6, 5));
  EXPECT_THAT(shard_of, ElementsAre("00001", "00002", "00002", "00003", "00003", "00003"));
  expect_tensors(folder.path(), {6, 6, 2, 6, 2, 2});
}

TEST(HfFolder, a_tensor_larger_than_a_shard_stands_alone) {
  ScratchFolder folder;
  write(folder.path(), {2, 30, 2}, 10);
  EXPECT_TRUE(fs::exists(folder / "model-00002-of-00002.safetensors"));
  expect_tensors(folder.path(), {2, 30, 2});
}

TEST(HfFolder, an_equal_name_in_two_shards_is_refused_when_writing) {
  ScratchFolder folder;
  auto tensors = sources_of({8, 8});
  tensors[1].name = "t0";
  EXPECT_THROW(
      write_model(folder.path(), {.config = {}, .tensors = tensors, .max_shard_bytes = 10}), Error);
}

TEST(HfFolder, the_generation_config_is_read) {
  ScratchFolder folder;
  put(folder / "config.json", "{}");
  EXPECT_TRUE(HfFolder::open(folder.path()).take().generation_config().is_null());
  put(folder / "generation_config.json", R"({"top_k": 20})");
  EXPECT_EQ(HfFolder::open(folder.path()).take().generation_config().at("top_k"), 20);
}

TEST(HfFolder, with_dtype_follows_the_key_that_the_file_has) {
  using nlohmann::json;
  EXPECT_EQ(with_dtype(json{{"dtype", "float32"}}, DType::bf16), (json{{"dtype", "bfloat16"}}));
  EXPECT_EQ(with_dtype(json::object(), DType::f32), (json{{"torch_dtype", "float32"}}));
  EXPECT_EQ(with_dtype(json{{"torch_dtype", "float16"},
                            {"text_config", {{"dtype", "float16"}}},
                            {"vision_config", {{"depth", 2}}}},
                       DType::bf16),
            (json{{"torch_dtype", "bfloat16"},
                  {"text_config", {{"dtype", "bfloat16"}}},
                  {"vision_config", {{"depth", 2}}}}));
}

/// The fault of opening the folder and its weights, which must be one.
std::string fault_of(const fs::path& path) {
  auto folder = HfFolder::open(path);
  if (!folder) return folder.fault().text();
  auto weights = folder->weights();
  EXPECT_FALSE(weights.ok());
  return weights.ok() ? "" : weights.fault().text();
}

TEST(HfFolder, faults_name_what_is_missing_and_how_to_mend_it) {
  ScratchFolder folder;
  EXPECT_THAT(fault_of(folder / "absent"), HasSubstr("absent: is no folder"));
  EXPECT_THAT(fault_of(folder.path()), HasSubstr("holds no config.json"));
  put(folder / "config.json", "{\"a\": }");
  EXPECT_THAT(fault_of(folder.path()), HasSubstr("config.json:1:7: is no valid JSON from here on"));
  put(folder / "config.json", "{\"a\": 1,\n \"b\"");
  EXPECT_THAT(fault_of(folder.path()), HasSubstr("config.json:2:5: is no valid JSON: it ends"));
  put(folder / "config.json", "[1]");
  EXPECT_THAT(fault_of(folder.path()), HasSubstr("should hold a JSON object, holds array"));
  put(folder / "config.json", "{}");
  EXPECT_FALSE(HfFolder::open(folder.path()).take().has_weights());
  EXPECT_THAT(fault_of(folder.path()), HasSubstr("holds no weights"));
  put(folder / "tf_model.h5", "x");
  EXPECT_THAT(fault_of(folder.path()), HasSubstr("only as tf_model.h5, which is not read"));
  EXPECT_THAT(fault_of(folder.path()), HasSubstr("fix: convert it to safetensors"));
}

TEST(HfFolder, faults_name_missing_and_broken_shards) {
  ScratchFolder folder;
  write(folder.path(), {6, 6, 6, 6, 6, 6}, 6);
  fs::remove(folder / "model-00002-of-00006.safetensors");
  EXPECT_THAT(fault_of(folder.path()),
              HasSubstr("1 of 6 weight files are missing: model-00002-of-00006.safetensors"));
  put(folder / "model-00002-of-00006.safetensors", "garbage");
  EXPECT_THAT(fault_of(folder.path()), HasSubstr("model-00002-of-00006.safetensors: has 7 bytes"));
  fs::copy_file(folder / "model-00001-of-00006.safetensors",
                folder / "model-00002-of-00006.safetensors", fs::copy_options::overwrite_existing);
  EXPECT_THAT(fault_of(folder.path()), HasSubstr("tensor 't1' should stand here"));
}

TEST(HfFolder, a_weight_map_that_leaves_the_folder_is_refused) {
  ScratchFolder folder;
  put(folder / "config.json", "{}");
  for (const char* file : {R"("../x.safetensors")", R"("/etc/passwd")", R"("a/b")", R"("..")",
                           R"("")", R"("a\u0000b")", "3", "null", "{}"}) {
    put(folder / "model.safetensors.index.json",
        std::string(R"({"weight_map": {"w": )") + file + "}}");
    EXPECT_THAT(fault_of(folder.path()), HasSubstr("weight_map: 'w'")) << file;
  }
  for (const char* index : {"{}", R"({"weight_map": []})", R"({"weight_map": {}})"}) {
    put(folder / "model.safetensors.index.json", index);
    EXPECT_THAT(fault_of(folder.path()), HasSubstr("should hold weight_map")) << index;
  }
}

TEST(HfFolder, json_that_python_writes_is_read_and_what_is_no_number_is_none) {
  const auto read = parse_json_object(
      "\xEF\xBB\xBF{\"model_max_length\": 1000000000000000019884624838656, \"eps\": 1e999,"
      "\"limit\": [0.0, Infinity], \"nan\": NaN}",
      "config.json");
  ASSERT_TRUE(read.ok()) << read.fault().text();
  EXPECT_EQ((*read)["model_max_length"], 1e30);
  EXPECT_EQ((*read)["eps"], "not a finite number: 1e999");
  const ScratchFolder folder;
  write_json(folder / "config.json", {{"limit", (*read)["limit"]}, {"nan", (*read)["nan"]}});
  EXPECT_EQ(read_file(folder / "config.json").take(),
            "{\n  \"limit\": [\n    0.0,\n    Infinity\n  ],\n  \"nan\": NaN\n}\n");
}

TEST(HfFolder, deeply_nested_json_is_refused) {
  EXPECT_THAT(parse_json_object("{\"a\":" + std::string(200000, '['), "x").fault().text(),
              HasSubstr("x: "));
  const auto nested = "{\"a\":" + std::string(100, '[') + std::string(100, ']') + "}";
  EXPECT_THAT(parse_json_object(nested, "x").fault().what, HasSubstr("deeper than 64"));
}

TEST(TensorIndex, a_name_in_two_files_is_refused_unless_the_owner_is_known) {
  ScratchFolder folder;
  write_safetensors(folder / "a.safetensors", sources_of({2}));
  write_safetensors(folder / "b.safetensors", sources_of({3}));
  const std::vector<fs::path> files = {folder / "a.safetensors", folder / "b.safetensors"};
  EXPECT_THAT(TensorIndex::open(files).fault().what, HasSubstr("'t0' stands in a.safetensors too"));
  const auto index = TensorIndex::open(files, {{"t0", "b.safetensors"}}).take();
  EXPECT_EQ(index.find("t0")->elements(), 3);
  EXPECT_EQ(index.file_of(*index.find("t0")), folder / "b.safetensors");
  EXPECT_EQ(index.total_bytes(), 3u);
}

TEST(LocateCheckpoint, takes_a_folder_or_the_main_snapshot_of_the_hub_cache) {
  ScratchFolder cache;
  EXPECT_EQ(locate_checkpoint(cache.path().string(), "").take(), cache.path());
  const fs::path repository = cache / "models--Qwen--Qwen3-0.6B";
  put(repository / "refs/main", "0123abcd");
  EXPECT_FALSE(locate_checkpoint("Qwen/Qwen3-0.6B", cache.path()).ok());
  put(repository / "snapshots/0123abcd/config.json", "{}");
  EXPECT_EQ(locate_checkpoint("Qwen/Qwen3-0.6B", cache.path()).take(),
            repository / "snapshots/0123abcd");
  EXPECT_THAT(locate_checkpoint("Qwen/Qwen3-8B", cache.path()).fault().text(),
              HasSubstr("hf download Qwen/Qwen3-8B"));
  const auto fix = [&](const char* name) { return locate_checkpoint(name, "").fault().fix; };
  for (const char* folder :
       {"checkpoints/Qwen3-0.6B", "./models/Qwen3-0.6B", "/no/such/Qwen3-0.6B", "a/b/Qwen3-0.6B/"})
    EXPECT_THAT(fix(folder), HasSubstr("hf download OWNER/Qwen3-0.6B --local-dir ")) << folder;
  EXPECT_THAT(fix("checkpoints/Qwen3-0.6B"), HasSubstr("--local-dir checkpoints/Qwen3-0.6B`"));
  put(repository / "refs/main", "../..");
  EXPECT_FALSE(locate_checkpoint("Qwen/Qwen3-0.6B", cache.path()).ok());
  EXPECT_FALSE(locate_checkpoint("", cache.path()).ok());
  EXPECT_FALSE(locate_checkpoint("/no/such", cache.path()).ok());
}

}  // namespace
}  // namespace lmms::checkpoint
