#include "checkpoint/hf_write.h"

#include "checkpoint/json_file.h"
#include "checkpoint/printable.h"
#include "core/format.h"

namespace lmms::checkpoint {
namespace fs = std::filesystem;
namespace {

struct Shards {
  std::vector<std::vector<TensorSource>> parts;
  uint64_t total_bytes = 0;
  uint64_t total_elements = 0;
};

/// Cuts the tensors, in order, where the next one would make a shard too large (huggingface_hub's
/// split_state_dict_into_shards_factory, without its exception for a large tensor, which there too
/// stands alone).
Shards cut(const std::vector<TensorSource>& tensors, uint64_t max_bytes, const fs::path& folder) {
  Shards shards;
  std::vector<TensorSource> alone;
  std::vector<TensorSource> current;
  uint64_t current_bytes = 0;
  for (const auto& tensor : tensors) {
    const auto bytes = byte_count(tensor.dtype, tensor.shape);
    if (!bytes)
      throw Error(folder.string(), fmt::format("tensor {}: shape {} is negative or too large",
                                               printable(tensor.name), text_of(tensor.shape)));
    shards.total_bytes += *bytes;
    shards.total_elements += *bytes / size_of(tensor.dtype);
    if (*bytes > max_bytes) {
      shards.parts.push_back({tensor});
      continue;
    }
    if (current_bytes + *bytes > max_bytes) {
      shards.parts.push_back(std::move(current));
      current.clear();
      current_bytes = 0;
    }
    current.push_back(tensor);
    current_bytes += *bytes;
  }
  if (!current.empty() || shards.parts.empty()) shards.parts.push_back(std::move(current));
  return shards;
}

void write_weights(const fs::path& folder, const std::vector<TensorSource>& tensors,
                   uint64_t max_bytes, FileSums& sums) {
  const Shards shards = cut(tensors, max_bytes, folder);
  if (shards.parts.size() == 1) {
    const fs::path path = folder / "model.safetensors";
    sums[path] = write_safetensors(path, shards.parts.front());
    return;
  }
  auto weight_map = nlohmann::json::object();
  for (size_t i = 0; i < shards.parts.size(); ++i) {
    const auto name = fmt::format("model-{:05}-of-{:05}.safetensors", i + 1, shards.parts.size());
    for (const auto& tensor : shards.parts[i]) {
      if (weight_map.contains(tensor.name))
        throw Error(folder.string(),
                    fmt::format("two tensors are named {}", printable(tensor.name)));
      weight_map[tensor.name] = name;
    }
    sums[folder / name] = write_safetensors(folder / name, shards.parts[i]);
  }
  const fs::path index = folder / "model.safetensors.index.json";
  sums[index] = write_json(
      index, {{"metadata",
               {{"total_parameters", shards.total_elements}, {"total_size", shards.total_bytes}}},
              {"weight_map", std::move(weight_map)}});
}

void write_side_files(const fs::path& folder, const SideFiles& files, FileSums& sums) {
  for (const auto& [name, content] : files) {
    const fs::path path = folder / name;
    std::error_code error;
    fs::create_directories(path.parent_path(), error);
    if (error)
      throw Error(path.string(), "creating its folder failed: " + error.message(), "",
                  Exit::failed);
    SummedFile file(path);
    file.write(content);
    sums[path] = file.finish();
  }
}

std::string torch_name(DType dtype) {
  switch (dtype) {
    case DType::bf16:
      return "bfloat16";
    case DType::f16:
      return "float16";
    case DType::f64:
      return "float64";
    case DType::f32:
      return "float32";
    default:
      throw Error("config.json", fmt::format("{} is no dtype of a model", name_of(dtype)), "",
                  Exit::failed);
  }
}

}  // namespace

FileSums write_model(const fs::path& folder, const ModelFiles& model) {
  FileSums sums;
  if (model.side_files) write_side_files(folder, *model.side_files, sums);
  sums[folder / "config.json"] = write_json(folder / "config.json", model.config);
  write_weights(folder, model.tensors, model.max_shard_bytes, sums);
  return sums;
}

nlohmann::json with_dtype(nlohmann::json config, DType dtype) {
  const std::string name = torch_name(dtype);
  const auto set = [&](nlohmann::json& object, bool always) {
    const bool has_new = object.contains("dtype");
    if (has_new) object["dtype"] = name;
    if (object.contains("torch_dtype") || (always && !has_new)) object["torch_dtype"] = name;
  };
  set(config, true);
  for (auto& [key, value] : config.items())
    if (value.is_object() && key.ends_with("_config")) set(value, false);
  return config;
}

}  // namespace lmms::checkpoint
