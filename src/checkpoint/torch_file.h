#pragma once
/// Files of torch.save (.pt, .pth, .bin): a zip archive with a pickle that describes tensors and a
/// member for each storage. Read as data: no code runs, whatever the file holds.
#include <cstddef>
#include <deque>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "checkpoint/safetensors.h"
#include "core/error.h"
#include "core/files.h"

namespace lmms::checkpoint {

/// The tensors of a file in memory.
struct TorchContent {
  std::vector<TensorView> tensors;  ///< in the file's order
  /// The key that they stand below ("ema"), where others stand beside it; empty: on top.
  std::string below;
  std::deque<std::vector<std::byte>> rows;  ///< of tensors that the file holds in another order
};

/// Parses a whole file. Taken are the tensors of one dictionary of names: that below "ema", else
/// "model", else "state_dict", else the outermost; what else stands in it (numbers, the optimiser's
/// state) is passed over. Tensors may share storages; those that are not contiguous are copied.
/// Faults name `where`: no such archive (the format before torch 1.6 with its cure), a global that
/// is no tensor or container, by name, tensors beyond their storage, no tensors. Any bytes are
/// safe.
Result<TorchContent> parse_torch_file(std::span<const std::byte> file, const std::string& where);

/// Whether a file begins as those of torch.save do: an archive or a pickle. False if it cannot be
/// read.
bool begins_as_torch_file(const std::filesystem::path& path);

/// A mapped file and its tensors. Views live as long as this object; moving it keeps them valid.
class TorchFile {
 public:
  static Result<TorchFile> open(const std::filesystem::path& path);
  const std::filesystem::path& path() const { return path_; }
  std::span<const TensorView> tensors() const { return content_.tensors; }
  const std::string& below() const { return content_.below; }

 private:
  TorchFile(std::filesystem::path path, MappedFile file, TorchContent content)
      : path_(std::move(path)), file_(std::move(file)), content_(std::move(content)) {}
  std::filesystem::path path_;
  MappedFile file_;
  TorchContent content_;
};

}  // namespace lmms::checkpoint
