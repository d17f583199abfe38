#pragma once
/// Reading a Hugging Face checkpoint folder: config.json, weights in one file or in shards
/// (safetensors, or what torch.save writes), and the tokenizer and processor files beside them.
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "checkpoint/safetensors.h"
#include "checkpoint/torch_file.h"
#include "core/error.h"

namespace lmms::checkpoint {

/// Every tensor of one or more mapped files by name. Views live as long as the index; moving it
/// keeps them valid.
class TensorIndex {
 public:
  /// Opens the files, safetensors or those of torch.save, which their first bytes tell. A name in
  /// two files is a fault, unless `owner` (name -> file name, a
  /// checkpoint's weight_map) says whose counts; a name that `owner` gives to a file that lacks it
  /// is a fault too.
  static Result<TensorIndex> open(const std::vector<std::filesystem::path>& paths,
                                  const std::map<std::string, std::string>& owner = {});
  /// O(log n); nullptr if there is none.
  const TensorView* find(std::string_view name) const;
  /// By ascending name.
  const std::map<std::string_view, const TensorView*>& tensors() const { return tensors_; }
  /// The file that holds a tensor of this index.
  const std::filesystem::path& file_of(const TensorView& tensor) const;
  uint64_t total_bytes() const;

 private:
  /// Opens one more file; what is wrong with it.
  std::optional<Fault> add(const std::filesystem::path& path);

  std::vector<std::variant<SafetensorsFile, TorchFile>> files_;
  std::map<std::string_view, const TensorView*> tensors_;
};

/// Where a folder's weights are.
struct WeightFiles {
  std::vector<std::string> files;          ///< names, ascending; empty: there are none
  std::map<std::string, std::string> map;  ///< tensor -> file, of an index
  std::string index;                       ///< the index's name, if there is one
};

/// A checkpoint folder that was looked at; its weights are mapped on demand.
class HfFolder {
 public:
  /// Reads config.json and finds the weights. No weights is no fault here (a model may be made from
  /// its config alone). Faults: no such folder, no or broken config.json, a weight index that is
  /// broken or names files outside the folder.
  static Result<HfFolder> open(const std::filesystem::path& folder);

  const std::filesystem::path& path() const { return path_; }
  /// As it stands in the file, to be read and copied through.
  const nlohmann::json& config() const { return config_; }
  /// generation_config.json; null if there is none.
  const nlohmann::json& generation_config() const { return generation_config_; }
  bool has_weights() const { return !weights_.files.empty(); }
  /// Maps the weights: model.safetensors or its shards; else pytorch_model.bin or its shards; else
  /// the only .pt, .pth or .bin file. Faults: none there (naming formats that are not read, as
  /// tf_model.h5), several of the last, missing or broken shards.
  Result<TensorIndex> weights() const;

 private:
  std::filesystem::path path_;
  nlohmann::json config_;
  nlohmann::json generation_config_;
  WeightFiles weights_;
};

/// The weights of a folder alone: nothing else in it is read. Faults as HfFolder::open and weights.
Result<TensorIndex> open_weights(const std::filesystem::path& folder);

/// Where a checkpoint named in a config lies: `name` if that is a folder, else, for a hub id
/// ("Qwen/Qwen3-0.6B"), the snapshot of its main branch in the hub's cache folder (empty: none is
/// looked into). Nothing is downloaded.
Result<std::filesystem::path> locate_checkpoint(const std::string& name,
                                                const std::filesystem::path& hub_cache);

}  // namespace lmms::checkpoint
