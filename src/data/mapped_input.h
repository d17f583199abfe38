#pragma once
/// A mapped file as the Arrow libraries read files.
#include <arrow/buffer.h>
#include <arrow/io/memory.h>

#include <memory>
#include <string>

#include "core/error.h"
#include "core/files.h"

namespace lmms::data {

/// The bytes of a mapped file; lives as long as any array that views them.
class MappedBuffer final : public arrow::Buffer {
 public:
  explicit MappedBuffer(MappedFile file)
      : arrow::Buffer(reinterpret_cast<const uint8_t*>(file.bytes().data()),
                      static_cast<int64_t>(file.bytes().size())),
        file_(std::move(file)) {}

 private:
  MappedFile file_;
};

/// Reads are views, thread-safe, and hold no file descriptor (arrow's own MemoryMappedFile holds
/// one, and data sets have thousands of files).
inline Result<std::shared_ptr<arrow::io::BufferReader>> map_input(const std::string& path) {
  auto file = MappedFile::open(path);
  if (!file) return file.fault();
  return std::make_shared<arrow::io::BufferReader>(
      std::make_shared<MappedBuffer>(*std::move(file)));
}

}  // namespace lmms::data
