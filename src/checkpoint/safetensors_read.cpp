#include <fmt/ranges.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <numeric>
#include <unordered_set>
#include <utility>

#include "checkpoint/printable.h"
#include "checkpoint/safetensors.h"
#include "core/format.h"

namespace lmms::checkpoint {
namespace {

constexpr uint64_t kLengthBytes = 8;
constexpr uint64_t kMaxHeaderBytes = 100'000'000;  // as the official reader
constexpr std::string_view kMetadata = "__metadata__";

/// One tensor as the header describes it, not yet checked against the data.
struct Entry {
  std::string name;
  DType dtype = DType::f32;
  Shape shape;
  std::vector<int64_t> offsets;  ///< [begin, end)
  bool has_dtype = false, has_shape = false, has_offsets = false;
};

/// Reads {"__metadata__": {key: string}, name: {"dtype": string, "shape": [n...], "data_offsets":
/// [begin, end]}} as a stream of events. Whatever else comes is refused at once, so nesting never
/// gets deeper than three and nothing unexpected is kept.
class HeaderReader : public nlohmann::json_sax<nlohmann::json> {
 public:
  std::vector<Entry> entries;
  std::map<std::string, std::string> metadata;
  std::string complaint;

  bool null() override { return unexpected("null"); }
  bool boolean(bool) override { return unexpected("a boolean"); }
  bool number_float(double, const std::string& text) override {
    return unexpected("the number " + text);
  }
  bool number_integer(int64_t value) override {
    return unexpected("the number " + std::to_string(value));
  }
  bool binary(binary_t&) override { return unexpected("binary data"); }

  bool number_unsigned(uint64_t value) override {
    if (place_ != Place::array) return unexpected("the number " + std::to_string(value));
    if (value > static_cast<uint64_t>(std::numeric_limits<int64_t>::max()))
      return refuse(fmt::format("{}: {} is too large", subject(), value));
    array_->push_back(static_cast<int64_t>(value));
    return true;
  }

  bool string(std::string& value) override {
    if (place_ == Place::metadata) {
      metadata[key_] = std::move(value);
      return true;
    }
    if (place_ != Place::tensor || key_ != "dtype")
      return unexpected("the string " + printable(value));
    auto& entry = entries.back();
    if (std::exchange(entry.has_dtype, true)) return refuse(subject() + ": named twice");
    const auto dtype = dtype_named(value);
    if (!dtype)
      return refuse(fmt::format("tensor {}: element type {} is not read", printable(entry.name),
                                printable(value)));
    entry.dtype = *dtype;
    return true;
  }

  bool start_object(size_t) override {
    if (place_ == Place::outside) {
      place_ = Place::top;
      return true;
    }
    if (place_ != Place::top) return unexpected("an object");
    if (key_ == kMetadata) {
      place_ = Place::metadata;
    } else {
      place_ = Place::tensor;
      entries.emplace_back().name = key_;
    }
    return true;
  }

  bool key(std::string& name) override {
    key_ = std::move(name);
    if (place_ == Place::top && !names_.insert(key_).second)
      return refuse(fmt::format("two entries are named {}", printable(key_)));
    if (place_ == Place::metadata && metadata.contains(key_))
      return refuse(fmt::format("{}: two values are named {}", kMetadata, printable(key_)));
    return true;
  }

  bool end_object() override {
    if (place_ == Place::tensor) {
      const auto& entry = entries.back();
      const char* missing = !entry.has_dtype     ? "dtype"
                            : !entry.has_shape   ? "shape"
                            : !entry.has_offsets ? "data_offsets"
                                                 : nullptr;
      if (missing != nullptr)
        return refuse(fmt::format("tensor {}: {} is missing", printable(entry.name), missing));
    }
    place_ = place_ == Place::top ? Place::outside : Place::top;
    return true;
  }

  bool start_array(size_t) override {
    if (place_ != Place::tensor) return unexpected("a list");
    auto& entry = entries.back();
    const bool is_shape = key_ == "shape";
    if (!is_shape && key_ != "data_offsets") return unexpected("a list");
    if (std::exchange(is_shape ? entry.has_shape : entry.has_offsets, true))
      return refuse(subject() + ": named twice");
    array_ = is_shape ? &entry.shape : &entry.offsets;
    place_ = Place::array;
    return true;
  }

  bool end_array() override {
    place_ = Place::tensor;
    return true;
  }

  bool parse_error(size_t position, const std::string&,
                   const nlohmann::detail::exception&) override {
    return refuse(fmt::format("the header is no valid JSON at its byte {}", position));
  }

 private:
  enum class Place { outside, top, metadata, tensor, array };

  bool refuse(std::string text) {
    if (complaint.empty()) complaint = std::move(text);
    return false;
  }
  std::string subject() const {
    if (place_ == Place::metadata) return fmt::format("{}.{}", kMetadata, printable(key_));
    if (place_ == Place::tensor || place_ == Place::array)
      return fmt::format("tensor {}: {}", printable(entries.back().name), printable(key_));
    return place_ == Place::top ? printable(key_) : std::string("the header");
  }
  bool unexpected(const std::string& what) {
    return refuse(fmt::format("{}: {} does not belong here", subject(), what));
  }

  Place place_ = Place::outside;
  std::string key_;
  std::vector<int64_t>* array_ = nullptr;
  std::unordered_set<std::string> names_;
};

uint64_t little_endian(std::span<const std::byte> bytes) {
  uint64_t value = 0;
  for (size_t i = kLengthBytes; i-- > 0;) value = value << 8 | static_cast<uint64_t>(bytes[i]);
  return value;
}

/// Checks one entry that must begin at `begin`; returns what is wrong with it, or nothing.
std::string fault_of(const Entry& entry, uint64_t begin, uint64_t data_bytes) {
  if (entry.offsets.size() != 2)
    return fmt::format("data_offsets has {} numbers, not 2", entry.offsets.size());
  const auto from = static_cast<uint64_t>(entry.offsets[0]);
  const auto to = static_cast<uint64_t>(entry.offsets[1]);
  if (to < from) return fmt::format("data_offsets [{}, {}] run backwards", from, to);
  if (to > data_bytes)
    return fmt::format("data_offsets [{}, {}] reach beyond the file, which holds {} bytes of data",
                       from, to, data_bytes);
  if (from < begin)
    return fmt::format("data_offsets [{}, {}] overlap the tensor before, which ends at {}", from,
                       to, begin);
  if (from > begin)
    return fmt::format("data_offsets [{}, {}] leave a hole after byte {}", from, to, begin);
  const auto bytes = byte_count(entry.dtype, entry.shape);
  if (!bytes) return fmt::format("shape {} is too large", text_of(entry.shape));
  if (*bytes != to - from)
    return fmt::format("shape {} of {} needs {} bytes, data_offsets hold {}", text_of(entry.shape),
                       name_of(entry.dtype), *bytes, to - from);
  return "";
}

}  // namespace

std::string text_of(const Shape& shape) {
  return fmt::format("[{}]", fmt::join(shape, ", "));
}

std::optional<uint64_t> byte_count(DType dtype, const Shape& shape) {
  int64_t bytes = static_cast<int64_t>(size_of(dtype));
  for (const int64_t size : shape)
    if (size < 0 || __builtin_mul_overflow(bytes, size, &bytes)) return std::nullopt;
  return static_cast<uint64_t>(bytes);
}

Result<SafetensorsContent> parse_safetensors(std::span<const std::byte> file,
                                             const std::string& where) {
  const std::string advice = "the file is damaged or was cut: copy or download it again";
  constexpr std::string_view kLfs = "version https://git-lfs";
  const std::string_view text(reinterpret_cast<const char*>(file.data()), file.size());
  if (text.starts_with(kLfs))
    return Fault{where, "is a Git LFS pointer, not the weights themselves",
                 "run `git lfs pull` in that folder"};
  if (file.size() < kLengthBytes)
    return Fault{where, fmt::format("has {} bytes; a safetensors file has at least 8", file.size()),
                 advice};
  const uint64_t header_bytes = little_endian(file);
  if (header_bytes > kMaxHeaderBytes)
    return Fault{where,
                 fmt::format("its header would be {} bytes long, more than the {} allowed",
                             header_bytes, kMaxHeaderBytes),
                 "the file is damaged, or no safetensors file"};
  if (header_bytes > file.size() - kLengthBytes)
    return Fault{where,
                 fmt::format("its header should be {} bytes long, but only {} follow", header_bytes,
                             file.size() - kLengthBytes),
                 advice};
  const auto header = text.substr(kLengthBytes, header_bytes);
  if (!header.starts_with('{')) return Fault{where, "its header does not begin with '{'", advice};

  HeaderReader reader;
  if (!nlohmann::json::sax_parse(header.begin(), header.end(), &reader))
    return Fault{where, reader.complaint, advice};

  auto& entries = reader.entries;
  std::stable_sort(entries.begin(), entries.end(),
                   [](const Entry& a, const Entry& b) { return a.offsets < b.offsets; });
  const auto data = file.subspan(kLengthBytes + header_bytes);
  SafetensorsContent content{.tensors = {}, .metadata = std::move(reader.metadata)};
  content.tensors.reserve(entries.size());
  uint64_t end = 0;
  for (auto& entry : entries) {
    if (const auto fault = fault_of(entry, end, data.size()); !fault.empty())
      return Fault{where, fmt::format("tensor {}: {}", printable(entry.name), fault), advice};
    const uint64_t begin = end;
    end = static_cast<uint64_t>(entry.offsets[1]);
    content.tensors.push_back({.name = std::move(entry.name),
                               .dtype = entry.dtype,
                               .shape = std::move(entry.shape),
                               .bytes = data.subspan(begin, end - begin)});
  }
  if (end != data.size())
    return Fault{where, fmt::format("{} bytes follow the last tensor", data.size() - end), advice};
  return content;
}

Result<SafetensorsFile> SafetensorsFile::open(const std::filesystem::path& path) {
  auto file = MappedFile::open(path);
  if (!file) return file.fault();
  auto content = parse_safetensors(file->bytes(), path.string());
  if (!content) return content.fault();
  return SafetensorsFile(path, std::move(*file), std::move(*content));
}

const TensorView* SafetensorsFile::find(std::string_view name) const {
  const auto found = std::find_if(content_.tensors.begin(), content_.tensors.end(),
                                  [&](const TensorView& view) { return view.name == name; });
  return found == content_.tensors.end() ? nullptr : &*found;
}

}  // namespace lmms::checkpoint
