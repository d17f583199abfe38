#pragma once
/// The safetensors format (https://github.com/huggingface/safetensors): 8 bytes little-endian
/// header length, a JSON header, then the tensors' bytes without gaps. Read where the file is
/// mapped, written as a stream.
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "checkpoint/checksums.h"
#include "checkpoint/dtype.h"
#include "core/error.h"
#include "core/files.h"

namespace lmms::checkpoint {

using Shape = std::vector<int64_t>;

/// "[2, 3]"; "[]" for a scalar.
std::string text_of(const Shape& shape);
/// Bytes of a tensor; nothing if a size is negative or the product does not fit into int64.
std::optional<uint64_t> byte_count(DType dtype, const Shape& shape);

/// A tensor that lies in memory owned by somebody else (mostly a mapped file). `bytes` are
/// row-major, little-endian, and need not be aligned for the element type.
struct TensorView {
  std::string name;
  DType dtype = DType::f32;
  Shape shape;
  std::span<const std::byte> bytes;

  int64_t elements() const { return static_cast<int64_t>(bytes.size() / size_of(dtype)); }
};

/// What a header says. The views point into the parsed bytes, in the order of the data.
struct SafetensorsContent {
  std::vector<TensorView> tensors;
  std::map<std::string, std::string> metadata;
};

/// Parses a whole file in memory. Beyond what the official reader checks (header within the file
/// and at most 100 MB, data without overlap, gap or rest, shape x type = size) it refuses duplicate
/// names and unknown fields. `where` names the file in faults, which name the tensor too. Any bytes
/// are safe: memory is bounded by the header's length.
Result<SafetensorsContent> parse_safetensors(std::span<const std::byte> file,
                                             const std::string& where);

/// A mapped file and its tensors. Views live as long as this object; moving it keeps them valid.
class SafetensorsFile {
 public:
  static Result<SafetensorsFile> open(const std::filesystem::path& path);
  const std::filesystem::path& path() const { return path_; }
  std::span<const TensorView> tensors() const { return content_.tensors; }
  /// O(number of tensors).
  const TensorView* find(std::string_view name) const;
  const std::map<std::string, std::string>& metadata() const { return content_.metadata; }

 private:
  SafetensorsFile(std::filesystem::path path, MappedFile file, SafetensorsContent content)
      : path_(std::move(path)), file_(std::move(file)), content_(std::move(content)) {}
  std::filesystem::path path_;
  MappedFile file_;
  SafetensorsContent content_;
};

/// Takes the next bytes of a tensor.
using ByteSink = std::function<void(std::span<const std::byte>)>;

/// A tensor to be written. `produce` is called once per file written and hands all its bytes, in
/// order and in pieces of any size, to the sink; so a tensor on a device or in another layout needs
/// no whole copy.
struct TensorSource {
  std::string name;
  DType dtype = DType::f32;
  Shape shape;
  std::function<void(const ByteSink&)> produce;
};

/// A source of bytes that stay where they are until it is written.
TensorSource source_of(std::string name, DType dtype, Shape shape,
                       std::span<const std::byte> bytes);
TensorSource source_of(const TensorView& view);
/// The same tensors with their bytes copied now: what a background writer may use while training
/// goes on.
std::vector<TensorSource> held_in_memory(const std::vector<TensorSource>& sources);

/// Writes the tensors as the official writer does (wider types first, then by name; header padded
/// to 8 bytes), byte for byte, fsyncs, and returns the file's sum. Throws Error: bad_input for two
/// equal names or a shape that overflows, failed for a source that hands over another number of
/// bytes than its shape says and for the machine's troubles.
FileSum write_safetensors(const std::filesystem::path& path, std::vector<TensorSource> tensors,
                          const std::map<std::string, std::string>& metadata = {{"format", "pt"}});

}  // namespace lmms::checkpoint
