#include "checkpoint/safetensors.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <limits>
#include <random>

#include "checkpoint/scratch_folder.h"

namespace lmms::checkpoint {
namespace {

using testing::HasSubstr;

std::span<const std::byte> bytes_of(std::string_view text) {
  return std::as_bytes(std::span(text.data(), text.size()));
}

std::string stored_file() {
  return read_file(LMMS_SOURCE_DIR "/src/checkpoint/testdata/all_dtypes.safetensors").take();
}

/// A file of this header and that many zero bytes of data.
std::string file_with(const std::string& header, size_t data_bytes) {
  std::string file(8, '\0');
  for (size_t i = 0; i < 8; ++i) file[i] = static_cast<char>(header.size() >> (8 * i) & 0xff);
  return file + header + std::string(data_bytes, '\0');
}

TEST(DTypeNames, every_type_is_found_by_its_name) {
  for (int i = 0; i < kDTypes; ++i) {
    const auto dtype = static_cast<DType>(i);
    EXPECT_EQ(dtype_named(name_of(dtype)), dtype);
  }
  EXPECT_EQ(dtype_named("F4"), std::nullopt);
  EXPECT_EQ(size_of(DType::bf16), 2u);
}

TEST(Safetensors, writes_what_the_official_writer_writes_byte_for_byte) {
  const std::string official = stored_file();
  const auto content = parse_safetensors(bytes_of(official), "stored").take();
  std::vector<TensorSource> sources;
  for (auto view = content.tensors.rbegin(); view != content.tensors.rend(); ++view)
    sources.push_back(source_of(*view));  // in another order
  ScratchFolder folder;
  write_safetensors(folder / "copy.safetensors", sources, content.metadata);
  EXPECT_EQ(read_file(folder / "copy.safetensors").take(), official);
}

TEST(Safetensors, reads_all_types_scalars_empty_tensors_and_odd_names_of_the_official_writer) {
  const std::string official = stored_file();
  const auto content = parse_safetensors(bytes_of(official), "stored").take();
  EXPECT_EQ(content.metadata.at("format"), "pt");
  ASSERT_EQ(content.tensors.size(), static_cast<size_t>(3 * kDTypes + 1));
  std::map<std::string, TensorView> by_name;
  std::map<DType, int> count;
  for (const auto& view : content.tensors) {
    by_name.emplace(view.name, view);
    ++count[view.dtype];
  }
  for (int i = 0; i < kDTypes; ++i)
    EXPECT_EQ(count[static_cast<DType>(i)], static_cast<DType>(i) == DType::f32 ? 4 : 3);

  const auto& matrix = by_name.at("int16.matrix");
  EXPECT_EQ(matrix.shape, (Shape{2, 3}));
  EXPECT_EQ(matrix.elements(), 6);
  EXPECT_EQ(matrix.bytes[11], std::byte{12});  // the script fills bytes with 1, 2, 3, ...
  EXPECT_EQ(by_name.at("int16.scalar").shape, Shape{});
  EXPECT_EQ(by_name.at("int16.scalar").bytes.size(), 2u);
  EXPECT_EQ(by_name.at("int16.empty").shape, (Shape{0, 4}));
  EXPECT_TRUE(by_name.contains("odd \"name\"\\\n\x01\x7f/ü 名"));
}

TEST(Safetensors, a_file_without_tensors_is_read_back) {
  ScratchFolder folder;
  write_safetensors(folder / "a", {}, {});
  EXPECT_EQ(read_file(folder / "a").take(), file_with("{}      ", 0));
  EXPECT_TRUE(SafetensorsFile::open(folder / "a").take().tensors().empty());
}

TEST(Safetensors, a_source_may_hand_over_its_bytes_in_pieces) {
  ScratchFolder folder;
  TensorSource source{"w", DType::u8, {300}, [](const ByteSink& sink) {
                        for (int i = 0; i < 300; ++i) {
                          const auto byte = static_cast<std::byte>(i);
                          sink({&byte, 1});
                        }
                      }};
  write_safetensors(folder / "a", {source});
  const auto file = SafetensorsFile::open(folder / "a").take();
  ASSERT_NE(file.find("w"), nullptr);
  EXPECT_EQ(file.find("w")->bytes[299], std::byte{299 - 256});
  EXPECT_EQ(file.find("v"), nullptr);
}

TEST(Safetensors, sources_held_in_memory_no_longer_look_at_the_original) {
  std::array<uint8_t, 2> live = {1, 2};
  auto held = held_in_memory({source_of("w", DType::u8, {2}, std::as_bytes(std::span(live)))});
  live = {8, 9};
  ScratchFolder folder;
  write_safetensors(folder / "a", held);
  EXPECT_EQ(SafetensorsFile::open(folder / "a").take().find("w")->bytes[1], std::byte{2});
}

TEST(Safetensors, a_moved_file_keeps_its_views) {
  ScratchFolder folder;
  const uint8_t seven = 7;
  write_safetensors(folder / "a",
                    {source_of("w", DType::u8, {}, std::as_bytes(std::span(&seven, 1)))});
  auto file = SafetensorsFile::open(folder / "a").take();
  const TensorView* view = file.find("w");
  const SafetensorsFile moved = std::move(file);
  EXPECT_EQ(moved.find("w"), view);
  EXPECT_EQ(view->bytes[0], std::byte{7});
}

void expect_refusal(std::vector<TensorSource> tensors, Exit exit, const std::string& message) {
  ScratchFolder folder;
  try {
    write_safetensors(folder / "a", std::move(tensors));
    FAIL() << "expected: " << message;
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr(message));
    EXPECT_EQ(error.exit(), exit);
  }
}

TEST(Safetensors, the_writer_refuses_what_would_make_a_bad_file) {
  const std::array<std::byte, 8> some{};
  const std::span<const std::byte> two(some.data(), 2);
  const auto w = source_of("w", DType::u8, {2}, two);
  expect_refusal({w, w}, Exit::bad_input, "two tensors are named 'w'");
  expect_refusal({source_of("w", DType::u8, {3}, two)}, Exit::failed,
                 "needs 3 bytes, its source gave 2");
  expect_refusal({source_of("w", DType::u8, {1}, two)}, Exit::failed,
                 "needs 1 bytes, its source gave 2");
  expect_refusal({source_of("w", DType::u8, {-1, -2}, two)}, Exit::bad_input, "[-1, -2]");
  expect_refusal({source_of("w", DType::f64, {int64_t{1} << 62}, two)}, Exit::bad_input,
                 "too large");
  expect_refusal({source_of("__metadata__", DType::u8, {2}, two)}, Exit::bad_input,
                 "no tensor can be named");
  expect_refusal({source_of("\xff", DType::u8, {2}, two)}, Exit::bad_input, "is not UTF-8");
}

struct BadFile {
  const char* name;
  std::string bytes;
  const char* message;
};

void PrintTo(const BadFile& file, std::ostream* out) {
  *out << file.name;
}

std::string tensor(const std::string& name, const std::string& dtype, const std::string& shape,
                   const std::string& offsets) {
  return '"' + name + R"(":{"dtype":")" + dtype + R"(","shape":)" + shape + R"(,"data_offsets":)" +
         offsets + '}';
}

std::string one(const std::string& dtype, const std::string& shape, const std::string& offsets) {
  return '{' + tensor("w", dtype, shape, offsets) + '}';
}

std::vector<BadFile> bad_files() {
  const std::string huge = "9223372036854775807";
  const std::string good = one("F32", "[2]", "[0,8]");
  std::string far = file_with(good, 8);
  far[0] = static_cast<char>(0xff);
  return {
      {"empty", "", "has 0 bytes"},
      {"seven_bytes", "1234567", "has 7 bytes"},
      {"header_longer_than_allowed", std::string(8, '\xff'), "more than the 100000000 allowed"},
      {"header_longer_than_file", far, "only"},
      {"header_of_length_zero", std::string(8, '\0'), "does not begin with '{'"},
      {"lfs_pointer", "version https://git-lfs.github.com/spec/v1\n", "Git LFS pointer"},
      {"leading_space", file_with(" " + good, 8), "does not begin with '{'"},
      {"not_json", file_with("{\"w\":", 0), "no valid JSON"},
      {"two_values", file_with(good + good, 8), "no valid JSON"},
      {"rest_after_json", file_with(good + "x", 8), "no valid JSON"},
      {"not_utf8", file_with("{\"\xff\xfe\":1}", 0), "no valid JSON"},
      {"lone_surrogate", file_with(R"({"\ud800":1})", 0), "no valid JSON"},
      {"tensor_is_number", file_with(R"({"w":3})", 0), "'w': the number 3"},
      {"tensor_is_null", file_with(R"({"w":null})", 0), "'w': null"},
      {"tensor_is_list", file_with(R"({"w":[]})", 0), "'w': a list"},
      {"tensor_is_string", file_with(R"({"w":"x"})", 0), "'w': the string 'x'"},
      {"nested_object", file_with(R"({"w":{"dtype":{}}})", 0), "tensor 'w': 'dtype': an object"},
      {"nested_list", file_with(R"({"w":{"shape":[[1]]}})", 0), "'shape': a list"},
      {"unknown_field", file_with(R"({"w":{"stride":[1]}})", 0), "'stride': a list"},
      {"no_dtype", file_with(R"({"w":{"shape":[],"data_offsets":[0,0]}})", 0), "dtype is missing"},
      {"no_shape", file_with(R"({"w":{"dtype":"U8","data_offsets":[0,0]}})", 0),
       "shape is missing"},
      {"no_offsets", file_with(R"({"w":{"dtype":"U8","shape":[]}})", 0), "data_offsets is missing"},
      {"dtype_twice", file_with(R"({"w":{"dtype":"U8","dtype":"U8"}})", 0), "named twice"},
      {"shape_twice", file_with(R"({"w":{"shape":[],"shape":[]}})", 0), "named twice"},
      {"unknown_dtype", file_with(one("F31", "[2]", "[0,8]"), 8), "'F31' is not read"},
      {"negative_size", file_with(one("F32", "[-2]", "[0,8]"), 8), "the number -2"},
      {"fractional_size", file_with(one("F32", "[2.0]", "[0,8]"), 8), "the number 2.0"},
      {"size_beyond_int64", file_with(one("F32", "[18446744073709551615]", "[0,8]"), 8),
       "too large"},
      {"size_beyond_uint64", file_with(one("F32", "[99999999999999999999]", "[0,8]"), 8),
       "the number"},
      {"shape_overflows", file_with(one("F32", "[" + huge + "," + huge + "]", "[0,8]"), 8),
       "too large"},
      {"bytes_overflow", file_with(one("F32", "[" + huge + "]", "[0,8]"), 8), "too large"},
      {"shape_does_not_fit", file_with(one("F32", "[3]", "[0,8]"), 8), "needs 12 bytes"},
      {"one_offset", file_with(one("F32", "[2]", "[8]"), 8), "1 numbers"},
      {"three_offsets", file_with(one("F32", "[2]", "[0,8,8]"), 8), "3 numbers"},
      {"offsets_backwards", file_with(one("F32", "[2]", "[8,0]"), 8), "run backwards"},
      {"beyond_the_file", file_with(one("F32", "[2]", "[0,8]"), 7), "beyond the file"},
      {"offset_near_int64", file_with(one("U8", "[1]", "[0," + huge + "]"), 1), "beyond the file"},
      {"bytes_left_over", file_with(good, 9), "1 bytes follow the last tensor"},
      {"hole_at_the_start", file_with(one("F32", "[2]", "[8,16]"), 16), "hole after byte 0"},
      {"hole_between",
       file_with(
           "{" + tensor("a", "U8", "[1]", "[0,1]") + "," + tensor("b", "U8", "[1]", "[2,3]") + "}",
           3),
       "tensor 'b': data_offsets [2, 3] leave a hole after byte 1"},
      {"overlap",
       file_with(
           "{" + tensor("a", "U8", "[2]", "[0,2]") + "," + tensor("b", "U8", "[2]", "[1,3]") + "}",
           3),
       "tensor 'b': data_offsets [1, 3] overlap"},
      {"name_twice",
       file_with(
           "{" + tensor("a", "U8", "[1]", "[0,1]") + "," + tensor("a", "U8", "[1]", "[1,2]") + "}",
           2),
       "two entries are named 'a'"},
      {"metadata_number", file_with(R"({"__metadata__":{"a":1}})", 0), "__metadata__.'a'"},
      {"metadata_nested", file_with(R"({"__metadata__":{"a":{}}})", 0), "an object"},
      {"metadata_twice", file_with(R"({"__metadata__":{"a":"1","a":"2"}})", 0), "two values"},
      {"control_character_in_name", file_with(R"({"\u001b[31m":3})", 0), "'\\x1b[31m'"},
      {"deep_nesting", file_with("{\"w\":" + std::string(100000, '['), 0), "'w': a list"},
  };
}

class BadSafetensors : public testing::TestWithParam<BadFile> {};

TEST_P(BadSafetensors, is_refused_with_its_name_and_reason) {
  const auto result = parse_safetensors(bytes_of(GetParam().bytes), "bad.safetensors");
  ASSERT_FALSE(result.ok());
  EXPECT_EQ(result.fault().where, "bad.safetensors");
  EXPECT_THAT(result.fault().what, HasSubstr(GetParam().message));
  EXPECT_FALSE(result.fault().fix.empty());
}

INSTANTIATE_TEST_SUITE_P(Corruptions, BadSafetensors, testing::ValuesIn(bad_files()),
                         [](const auto& info) { return std::string(info.param.name); });

/// What a parse that succeeds must hold.
void expect_sound(const SafetensorsContent& content, std::span<const std::byte> file) {
  const std::byte* next = content.tensors.empty() ? nullptr : content.tensors.front().bytes.data();
  for (const auto& view : content.tensors) {
    ASSERT_EQ(view.bytes.data(), next);
    ASSERT_EQ(byte_count(view.dtype, view.shape), view.bytes.size());
    next += view.bytes.size();
  }
  if (next != nullptr) {
    ASSERT_EQ(next, file.data() + file.size());
  }
}

TEST(Safetensors, random_damage_is_refused_or_harmless) {
  const std::string official = stored_file();
  const size_t header_bytes =
      8 + static_cast<uint8_t>(official[0]) + 256 * static_cast<uint8_t>(official[1]);
  std::mt19937_64 random(20240601);
  const auto below = [&](size_t n) { return static_cast<size_t>(random() % n); };
  constexpr std::string_view kPieces = "{}[]\",:0123456789-.eE\\\"U8F32 ";
  int refused = 0;
  for (int round = 0; round < 4000; ++round) {
    std::string file = official;
    for (size_t change = 0, changes = 1 + below(4); change < changes; ++change) {
      const size_t reach = std::min(header_bytes, file.size());
      const size_t at = below(reach);
      switch (below(5)) {
        case 0:
          file[at] = static_cast<char>(random());
          break;
        case 1:
          file[at] = kPieces[below(kPieces.size())];
          break;
        case 2:
          file.erase(at, 1 + below(20));
          break;
        case 3:
          file.insert(at, file.substr(below(reach), below(60)));
          break;
        default:
          file.resize(1 + below(file.size()));
          break;
      }
      if (file.empty()) break;
    }
    // An exact copy on the heap, so that a sanitizer sees every read outside.
    const std::vector<char> exact(file.begin(), file.end());
    const auto bytes = std::as_bytes(std::span(exact));
    const auto result = parse_safetensors(bytes, "damaged");
    if (result)
      expect_sound(*result, bytes);
    else
      ++refused;
  }
  EXPECT_GT(refused, 3000);
  EXPECT_LT(refused, 4000);
}

}  // namespace
}  // namespace lmms::checkpoint
