#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <memory>
#include <nlohmann/json.hpp>
#include <utility>

#include "checkpoint/printable.h"
#include "checkpoint/safetensors.h"
#include "core/format.h"

namespace lmms::checkpoint {
namespace {

uint64_t checked_byte_count(const TensorSource& tensor, const std::string& where) {
  const auto bytes = byte_count(tensor.dtype, tensor.shape);
  if (!bytes)
    throw Error(where, fmt::format("tensor {}: shape {} is negative or too large",
                                   printable(tensor.name), text_of(tensor.shape)));
  return *bytes;
}

/// A JSON string. Throws Error if the text is not UTF-8.
std::string json_string(const std::string& text, const std::string& where) {
  try {
    return nlohmann::json(text).dump();
  } catch (const nlohmann::json::type_error&) {
    throw Error(where, fmt::format("the name {} is not UTF-8", printable(text)));
  }
}

/// The header with its length in front, padded so that the data begins at a multiple of 8.
std::string header_of(const std::vector<TensorSource>& tensors,
                      const std::map<std::string, std::string>& metadata,
                      const std::string& where) {
  std::string text = "{";
  if (!metadata.empty()) {
    text += "\"__metadata__\":{";
    for (const auto& [key, value] : metadata)
      text += json_string(key, where) + ":" + json_string(value, where) + ",";
    text.back() = '}';
    text += ',';
  }
  uint64_t begin = 0;
  for (const auto& tensor : tensors) {
    const uint64_t end = begin + checked_byte_count(tensor, where);
    text += fmt::format(R"({}:{{"dtype":"{}","shape":[{}],"data_offsets":[{},{}]}},)",
                        json_string(tensor.name, where), name_of(tensor.dtype),
                        fmt::join(tensor.shape, ","), begin, end);
    begin = end;
  }
  if (text.back() == ',') text.pop_back();
  text += '}';
  text.resize((text.size() + 7) / 8 * 8, ' ');
  std::string length(8, '\0');
  for (size_t i = 0; i < 8; ++i) length[i] = static_cast<char>(text.size() >> (8 * i) & 0xff);
  return length + text;
}

/// Hands the source's bytes on; throws if they are more or fewer than the shape says.
void produce(const TensorSource& tensor, const std::string& where, const ByteSink& sink) {
  const uint64_t wanted = checked_byte_count(tensor, where);
  uint64_t given = 0;
  tensor.produce([&](std::span<const std::byte> bytes) {
    given += bytes.size();
    if (given <= wanted) sink(bytes);
  });
  if (given != wanted)
    throw Error(where,
                fmt::format("tensor {}: shape {} of {} needs {} bytes, its source gave {}",
                            printable(tensor.name), text_of(tensor.shape), name_of(tensor.dtype),
                            wanted, given),
                "", Exit::failed);
}

}  // namespace

TensorSource source_of(std::string name, DType dtype, Shape shape,
                       std::span<const std::byte> bytes) {
  return {std::move(name), dtype, std::move(shape), [bytes](const ByteSink& sink) { sink(bytes); }};
}

TensorSource source_of(const TensorView& view) {
  return source_of(view.name, view.dtype, view.shape, view.bytes);
}

std::vector<TensorSource> held_in_memory(const std::vector<TensorSource>& sources) {
  std::vector<TensorSource> held;
  held.reserve(sources.size());
  for (const auto& source : sources) {
    auto bytes = std::make_shared<std::vector<std::byte>>();
    bytes->reserve(checked_byte_count(source, "memory"));
    produce(source, "memory", [&](std::span<const std::byte> piece) {
      bytes->insert(bytes->end(), piece.begin(), piece.end());
    });
    held.push_back(
        {source.name, source.dtype, source.shape, [bytes](const ByteSink& sink) { sink(*bytes); }});
  }
  return held;
}

FileSum write_safetensors(const std::filesystem::path& path, std::vector<TensorSource> tensors,
                          const std::map<std::string, std::string>& metadata) {
  std::sort(tensors.begin(), tensors.end(), [](const TensorSource& a, const TensorSource& b) {
    return a.dtype != b.dtype ? a.dtype > b.dtype : a.name < b.name;
  });
  std::vector<std::string_view> names(tensors.size());
  std::transform(tensors.begin(), tensors.end(), names.begin(),
                 [](const TensorSource& tensor) { return std::string_view(tensor.name); });
  std::sort(names.begin(), names.end());
  if (std::binary_search(names.begin(), names.end(), "__metadata__"))
    throw Error(path.string(), "no tensor can be named '__metadata__'");
  if (const auto twice = std::adjacent_find(names.begin(), names.end()); twice != names.end())
    throw Error(path.string(), fmt::format("two tensors are named {}", printable(*twice)));

  const std::string header = header_of(tensors, metadata, path.string());
  SummedFile file(path);
  file.write(header);
  for (const auto& tensor : tensors)
    produce(tensor, path.string(), [&](std::span<const std::byte> bytes) { file.write(bytes); });
  return file.finish();
}

}  // namespace lmms::checkpoint
