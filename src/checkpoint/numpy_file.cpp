#include "checkpoint/numpy_file.h"

#include <charconv>
#include <cstring>
#include <optional>
#include <string_view>

#include "checkpoint/printable.h"
#include "checkpoint/zip.h"
#include "core/format.h"

namespace lmms::checkpoint {
namespace {

using Bytes = std::span<const std::byte>;

constexpr std::string_view kMagic = "\x93NUMPY";
constexpr const char* kSaveAgain =
    "save it anew with numpy.save or numpy.savez, as float32 or float64";

std::string_view text_in(Bytes bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

// What stands behind "'key':" in the header, a Python dictionary of three keys.
std::string_view value_of(std::string_view header, std::string_view key) {
  const size_t at = header.find(fmt::format("'{}'", key));
  if (at == std::string_view::npos) return {};
  const size_t colon = header.find(':', at);
  if (colon == std::string_view::npos) return {};
  const size_t begin = header.find_first_not_of(' ', colon + 1);
  return begin == std::string_view::npos ? std::string_view() : header.substr(begin);
}

std::optional<DType> dtype_of(std::string_view value) {
  static constexpr std::pair<std::string_view, DType> kTypes[] = {
      {"'<f4'", DType::f32}, {"'<f8'", DType::f64}, {"'<f2'", DType::f16},
      {"'<i8'", DType::i64}, {"'<i4'", DType::i32}, {"'<i2'", DType::i16},
      {"'|i1'", DType::i8},  {"'|u1'", DType::u8},  {"'<u2'", DType::u16},
      {"'<u4'", DType::u32}, {"'<u8'", DType::u64}, {"'|b1'", DType::boolean}};
  for (const auto& [name, dtype] : kTypes) {
    if (value.starts_with(name)) return dtype;
  }
  return std::nullopt;
}

// "(3, 4)", "(3,)", "()".
std::optional<Shape> shape_of(std::string_view value) {
  const size_t end = value.find(')');
  if (!value.starts_with('(') || end == std::string_view::npos) return std::nullopt;
  Shape shape;
  std::string_view rest = value.substr(1, end - 1);
  while (true) {
    const size_t begin = rest.find_first_not_of(" ,");
    if (begin == std::string_view::npos) return shape;
    rest.remove_prefix(begin);
    int64_t size = 0;
    const auto [stop, error] = std::from_chars(rest.data(), rest.data() + rest.size(), size);
    if (error != std::errc() || size < 0 || shape.size() == 32) return std::nullopt;
    shape.push_back(size);
    rest.remove_prefix(static_cast<size_t>(stop - rest.data()));
  }
}

Result<TensorView> parse_array(Bytes file, const std::string& name, const std::string& where) {
  const std::string what = name.empty() ? "the array" : "array " + printable(name);
  const Fault broken{where, what + " is cut short or broken", "copy it again, or save it anew"};
  if (file.size() < 10) return broken;
  const auto version = static_cast<int>(file[6]);
  const size_t length_bytes = version == 1 ? 2 : 4;
  if (version < 1 || version > 3 || file.size() < 8 + length_bytes) return broken;
  uint32_t length = 0;
  std::memcpy(&length, file.data() + 8, length_bytes);
  const Bytes rest = file.subspan(8 + length_bytes);
  if (length > rest.size()) return broken;
  const std::string_view header = text_in(rest.first(length));
  const std::string_view type = value_of(header, "descr");
  const auto dtype = dtype_of(type);
  if (!dtype) {
    return Fault{where,
                 fmt::format("{} has elements of type {}, which are not read", what,
                             printable(type.substr(0, type.find(',')))),
                 kSaveAgain};
  }
  if (!value_of(header, "fortran_order").starts_with("False"))
    return Fault{where, what + " is in column-major order, which is not read",
                 "save numpy.ascontiguousarray of it"};
  const auto shape = shape_of(value_of(header, "shape"));
  const auto bytes = shape ? byte_count(*dtype, *shape) : std::nullopt;
  if (!bytes || *bytes > rest.size() - length) return broken;
  return TensorView{name, *dtype, *shape, rest.subspan(length, *bytes)};
}

}  // namespace

Result<std::vector<TensorView>> parse_numpy(Bytes file, const std::string& where) {
  std::vector<TensorView> arrays;
  if (text_in(file).starts_with(kMagic)) {
    const auto array = parse_array(file, "", where);
    if (!array) return array.fault();
    return std::vector<TensorView>{*array};
  }
  if (!text_in(file).starts_with("PK"))
    return Fault{where, "is no file of numpy", "give an .npy or .npz file"};
  const auto members = read_zip(file, where);
  if (!members) return members.fault();
  for (const auto& [name, bytes] : *members) {
    if (!text_in(bytes).starts_with(kMagic)) continue;
    const auto array =
        parse_array(bytes, name.ends_with(".npy") ? name.substr(0, name.size() - 4) : name, where);
    if (!array) return array.fault();
    arrays.push_back(*array);
  }
  if (arrays.empty()) return Fault{where, "holds no arrays of numpy", "give an .npy or .npz file"};
  return arrays;
}

Result<NumpyFile> NumpyFile::open(const std::filesystem::path& path) {
  auto file = MappedFile::open(path);
  if (!file) return file.fault();
  auto arrays = parse_numpy(file->bytes(), path.string());
  if (!arrays) return arrays.fault();
  return NumpyFile(std::move(*file), std::move(*arrays));
}

}  // namespace lmms::checkpoint
