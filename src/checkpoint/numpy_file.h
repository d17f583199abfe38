#pragma once
/// Arrays of numpy in files: .npy (numpy.save) and .npz (numpy.savez, a zip archive of them).
/// Source: numpy.lib.format.
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "checkpoint/safetensors.h"
#include "core/error.h"
#include "core/files.h"

namespace lmms::checkpoint {

/// Parses a whole file in memory; the views point into it. The array of an .npy is called "". Read
/// are little-endian numbers in row-major order. Faults name `where`: no such file, compressed
/// members, other element types (objects too, which are pickles) or orders, arrays that are cut
/// short. Any bytes are safe.
Result<std::vector<TensorView>> parse_numpy(std::span<const std::byte> file,
                                            const std::string& where);

/// A mapped file and its arrays. Views live as long as this object; moving it keeps them valid.
class NumpyFile {
 public:
  static Result<NumpyFile> open(const std::filesystem::path& path);
  std::span<const TensorView> arrays() const { return arrays_; }

 private:
  NumpyFile(MappedFile file, std::vector<TensorView> arrays)
      : file_(std::move(file)), arrays_(std::move(arrays)) {}
  MappedFile file_;
  std::vector<TensorView> arrays_;
};

}  // namespace lmms::checkpoint
