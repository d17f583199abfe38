#include "checkpoint/torch_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <memory>

#include "checkpoint/hf_folder.h"
#include "checkpoint/pickle.h"
#include "checkpoint/scratch_folder.h"
#include "checkpoint/zip.h"

namespace lmms::checkpoint {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

const fs::path kTestdata = fs::path(LMMS_SOURCE_DIR) / "src/checkpoint/testdata";

std::vector<std::byte> bytes_of(const fs::path& path) {
  const auto file = MappedFile::open(path).take();
  return {file.bytes().begin(), file.bytes().end()};
}

void expect_same(std::span<const TensorView> ours, std::span<const TensorView> theirs) {
  EXPECT_EQ(ours.size(), theirs.size());
  for (const TensorView& expected : theirs) {
    SCOPED_TRACE(expected.name);
    const auto found = std::find_if(ours.begin(), ours.end(),
                                    [&](const TensorView& t) { return t.name == expected.name; });
    ASSERT_NE(found, ours.end());
    EXPECT_EQ(found->dtype, expected.dtype);
    EXPECT_EQ(found->shape, expected.shape);
    EXPECT_TRUE(std::ranges::equal(found->bytes, expected.bytes));
  }
}

TEST(TorchFile, holds_the_tensors_that_torch_saved) {
  const auto ours = TorchFile::open(kTestdata / "torch_bare.pt").take();
  EXPECT_EQ(ours.below(), "");
  expect_same(ours.tensors(),
              SafetensorsFile::open(kTestdata / "torch_bare.safetensors").take().tensors());
}

TEST(TorchFile, the_average_of_a_training_is_taken_before_its_last_weights) {
  const auto ours = TorchFile::open(kTestdata / "torch_training.pt").take();
  EXPECT_EQ(ours.below(), "ema");
  expect_same(ours.tensors(),
              SafetensorsFile::open(kTestdata / "torch_ema.safetensors").take().tensors());
}

TEST(TorchFile, tensors_that_share_a_storage_share_memory) {
  const auto ours = TorchFile::open(kTestdata / "torch_bare.pt").take();
  const auto at = [&](std::string_view name) {
    return std::find_if(ours.tensors().begin(), ours.tensors().end(),
                        [&](const TensorView& t) { return t.name == name; })
        ->bytes;
  };
  EXPECT_EQ(at("tied").data(), at("base").data());
  EXPECT_EQ(at("rows").data(), at("base").data() + 6 * sizeof(float));
}

std::string fault_of(const fs::path& path) {
  const auto file = TorchFile::open(path);
  return file ? "no fault" : file.fault().text();
}

TEST(TorchFile, what_a_file_would_run_is_named_and_not_run) {
  EXPECT_THAT(fault_of(kTestdata / "torch_calls.pt"), HasSubstr("system'"));
  EXPECT_THAT(fault_of(kTestdata / "torch_numpy.pt"), HasSubstr("numpy"));
}

TEST(TorchFile, the_format_before_archives_is_refused_with_its_cure) {
  EXPECT_TRUE(begins_as_torch_file(kTestdata / "torch_legacy.pt"));
  EXPECT_THAT(fault_of(kTestdata / "torch_legacy.pt"),
              AllOf(HasSubstr("before torch 1.6"), HasSubstr("torch.save(torch.load(")));
}

TEST(TorchFile, is_told_from_safetensors_by_its_first_bytes) {
  EXPECT_TRUE(begins_as_torch_file(kTestdata / "torch_bare.pt"));
  EXPECT_FALSE(begins_as_torch_file(kTestdata / "torch_bare.safetensors"));
  const ScratchFolder folder;
  OutputFile(folder / "a").write(std::string_view("\x80\x02\0\0\0\0\0\0{", 9));  // 640 bytes
  EXPECT_FALSE(begins_as_torch_file(folder / "a"));
  EXPECT_FALSE(begins_as_torch_file(folder / "none"));
}

// Reads every byte that the views name; how many there are.
size_t read_all(std::span<const std::byte> file) {
  const auto content = parse_torch_file(file, "a.pt");
  if (!content) {
    EXPECT_THAT(content.fault().text(), HasSubstr("a.pt"));
    return 0;
  }
  size_t sum = 0;
  for (const TensorView& tensor : content->tensors) {
    EXPECT_EQ(byte_count(tensor.dtype, tensor.shape), tensor.bytes.size());
    for (const std::byte b : tensor.bytes) sum += static_cast<size_t>(b);
  }
  return sum;
}

// A copy of exactly these bytes, so that reading beyond them is seen by sanitizers.
size_t read_exactly(std::span<const std::byte> file) {
  const auto copy = std::make_unique<std::byte[]>(std::max<size_t>(file.size(), 1));
  std::copy(file.begin(), file.end(), copy.get());
  return read_all({copy.get(), file.size()});
}

TEST(TorchFile, any_beginning_of_a_file_is_a_fault) {
  for (const char* name : {"torch_bare.pt", "torch_training.pt"}) {
    const std::vector<std::byte> whole = bytes_of(kTestdata / name);
    for (size_t size = 0; size < whole.size(); ++size) {
      EXPECT_FALSE(parse_torch_file(std::span(whole).first(size), "a.pt").ok()) << size;
      if (size % 7 == 0) read_exactly(std::span(whole).first(size));
    }
  }
}

TEST(TorchFile, survives_every_changed_byte) {
  for (const char* name : {"torch_bare.pt", "torch_training.pt"}) {
    std::vector<std::byte> file = bytes_of(kTestdata / name);
    for (size_t i = 0; i < file.size(); ++i) {
      const std::byte kept = file[i];
      for (const int flip : {0x01, 0x10, 0x80, 0xff}) {
        file[i] = kept ^ static_cast<std::byte>(flip);
        read_exactly(file);
      }
      file[i] = kept;
    }
  }
}

std::string fault_of_pickle(std::string_view text) {
  const auto pickle = parse_pickle(std::as_bytes(std::span(text)), "p",
                                   [](std::string_view name) { return name == "a b"; });
  return pickle ? "no fault" : pickle.fault().text();
}

TEST(Pickle, broken_programs_are_faults) {
  using namespace std::string_view_literals;
  for (const std::string_view text : {""sv,
                                      "\x80\x09."sv,
                                      "\x80\x02"sv,
                                      "."sv,
                                      "0."sv,
                                      "(."sv,
                                      "t."sv,
                                      "e."sv,
                                      "s."sv,
                                      "N}s."sv,
                                      "R."sv,
                                      "))R."sv,
                                      "b."sv,
                                      "Q."sv,
                                      "h\x01."sv,
                                      "X\xff\xff\xff\xff"sv,
                                      "\x8a\x09"
                                      "123456789."sv,
                                      "ca\nb"sv,
                                      "(N1."sv,

                                      "\xfe."sv,
                                      "]Na"sv,
                                      "N\x94"sv,
                                      "\x93."sv,
                                      "NN\x93."sv})
    EXPECT_THAT(fault_of_pickle(text), HasSubstr("the pickle is broken")) << text;
  EXPECT_THAT(fault_of_pickle("cposix\nsystem\n."), HasSubstr("'posix.system'"));
  EXPECT_THAT(fault_of_pickle("\x8c\x05posix\x8c\x06system\x93."), HasSubstr("'posix.system'"));
  EXPECT_EQ(fault_of_pickle("ca\nb\n)R."), "no fault");
}

TEST(Pickle, values_may_hold_themselves) {
  using namespace std::string_view_literals;
  EXPECT_EQ(fault_of_pickle("]\x94h\x00\x61."sv), "no fault");  // a list in itself
}

TEST(Pickle, numbers_and_texts_are_pythons) {
  using namespace std::string_view_literals;
  const auto value = [](std::string_view text) {
    return *parse_pickle(std::as_bytes(std::span(text)), "p", [](auto) { return false; })
                .take()
                .top;
  };
  EXPECT_EQ(value("J\xff\xff\xff\xff."sv).integer, -1);
  EXPECT_EQ(value("K\xff."sv).integer, 255);
  EXPECT_EQ(value("\x8a\x02\x00\x80."sv).integer, -32768);
  EXPECT_EQ(value("\x8a\x03\x00\x80\x00."sv).integer, 32768);
  EXPECT_EQ(value("\x8a\x08\xff\xff\xff\xff\xff\xff\xff\x7f."sv).integer, INT64_MAX);
  EXPECT_EQ(value("G\xbf\xe0\x00\x00\x00\x00\x00\x00."sv).real, -0.5);
  EXPECT_EQ(value("\x8c\x02hi."sv).text, "hi");
  EXPECT_EQ(value("\x88."sv).integer, 1);
}

class TorchFolder : public testing::Test {
 protected:
  void put(const char* from, const char* to) { fs::copy_file(kTestdata / from, folder_ / to); }
  TorchFolder() { OutputFile(folder_ / "config.json").write("{}"); }
  std::string outcome() {
    const auto opened = HfFolder::open(folder_.path());
    if (!opened) return opened.fault().text();
    const auto weights = opened->weights();
    return weights ? weights->file_of(*weights->tensors().begin()->second).filename().string()
                   : weights.fault().text();
  }
  ScratchFolder folder_;
};

TEST_F(TorchFolder, weights_may_be_pytorch_model_bin_or_the_only_file_of_torch) {
  put("torch_bare.pt", "SiT-XL-2-256x256.pt");
  EXPECT_EQ(outcome(), "SiT-XL-2-256x256.pt");
  put("torch_training.pt", "optimizer.pt");  // beside the weights of a trainer
  EXPECT_EQ(outcome(), "SiT-XL-2-256x256.pt");
  put("torch_training.pt", "pytorch_model.bin");
  EXPECT_EQ(outcome(), "pytorch_model.bin");
  put("torch_bare.safetensors", "model.safetensors");
  EXPECT_EQ(outcome(), "model.safetensors");
}

TEST_F(TorchFolder, of_several_files_none_is_taken) {
  put("torch_bare.pt", "a.pt");
  put("torch_training.pt", "b.pth");
  EXPECT_THAT(outcome(), HasSubstr("holds 2 files that may be its weights: a.pt, b.pth"));
}

TEST_F(TorchFolder, shards_are_found_by_their_index) {
  put("torch_bare.pt", "pytorch_model-00001-of-00002.bin");
  put("torch_training.pt", "pytorch_model-00002-of-00002.bin");
  OutputFile(folder_ / "pytorch_model.bin.index.json")
      .write(R"({"weight_map": {"base": "pytorch_model-00001-of-00002.bin",
                                "bias": "pytorch_model-00002-of-00002.bin"}})");
  const auto weights = HfFolder::open(folder_.path()).take().weights().take();
  ASSERT_NE(weights.find("bias"), nullptr);
  EXPECT_EQ(weights.file_of(*weights.find("bias")).filename(), "pytorch_model-00002-of-00002.bin");
}

TEST_F(TorchFolder, a_broken_file_is_named) {
  put("torch_calls.pt", "pytorch_model.bin");
  EXPECT_THAT(outcome(), AllOf(HasSubstr("pytorch_model.bin"), HasSubstr("system")));
}

}  // namespace
}  // namespace lmms::checkpoint
