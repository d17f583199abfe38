#pragma once
/// Writing a Hugging Face checkpoint folder that transformers loads as it is.
#include <cstdint>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <vector>

#include "checkpoint/safetensors.h"
#include "checkpoint/side_files.h"

namespace lmms::checkpoint {

/// transformers' long-standing default of max_shard_size, 5 GB.
inline constexpr uint64_t kMaxShardBytes = 5'000'000'000;

/// What makes up a model on disk.
struct ModelFiles {
  nlohmann::json config;  ///< config.json; say in it which dtype is written (with_dtype)
  std::vector<TensorSource> tensors;  ///< in the model's order; shards are cut along it
  /// Written beside them; null: none.
  std::shared_ptr<const SideFiles> side_files = nullptr;
  uint64_t max_shard_bytes = kMaxShardBytes;
};

/// Writes config.json, weights and side files into `folder`, which exists and holds no other
/// weights; each file is fsynced. One file model.safetensors if all fits, else
/// model-00001-of-0000N.safetensors and the index; a tensor larger than a shard gets one of its
/// own. Returns the sums of the files. Throws Error.
FileSums write_model(const std::filesystem::path& folder, const ModelFiles& model);

/// `config` with the dtype named as transformers reads it ("dtype", or "torch_dtype" where the file
/// has the older key or neither), in sub-configs that carry the key too.
nlohmann::json with_dtype(nlohmann::json config, DType dtype);

}  // namespace lmms::checkpoint
