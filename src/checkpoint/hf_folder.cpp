#include "checkpoint/hf_folder.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <set>

#include "checkpoint/json_file.h"
#include "checkpoint/printable.h"
#include "core/format.h"
#include "core/nearest.h"

namespace lmms::checkpoint {
namespace fs = std::filesystem;
namespace {

constexpr const char* kSingle = "model.safetensors";
constexpr const char* kIndex = "model.safetensors.index.json";
const std::string kDownloadAgain = "the checkpoint is incomplete: copy or download it again";

bool is_there(const fs::path& path) {
  std::error_code ignored;
  return fs::exists(path, ignored);
}

bool is_plain_name(const std::string& name) {
  return !name.empty() && name != "." && name != ".." &&
         name.find_first_of(std::string_view("/\\\0", 3)) == std::string::npos;
}

/// name -> file of an index file, every file a plain name.
Result<std::map<std::string, std::string>> read_weight_map(const fs::path& path) {
  auto index = read_json_object(path);
  if (!index) return index.fault();
  const auto found = index->find("weight_map");
  if (found == index->end() || !found->is_object() || found->empty())
    return Fault{path.string(), "should hold weight_map: {tensor name: file name}", kDownloadAgain};
  std::map<std::string, std::string> map;
  for (const auto& [name, file] : found->items()) {
    if (!file.is_string())
      return Fault{path.string(),
                   fmt::format("weight_map: {} should name a file, is {}", printable(name),
                               file.type_name()),
                   kDownloadAgain};
    if (!is_plain_name(file.get_ref<const std::string&>()))
      return Fault{path.string(),
                   fmt::format("weight_map: {} names {}, which is no file of this folder",
                               printable(name), printable(file.get_ref<const std::string&>())),
                   "shards lie beside their index"};
    map.emplace(name, file.get<std::string>());
  }
  return map;
}

/// What to say of a folder without safetensors.
Fault no_weights(const fs::path& folder) {
  static constexpr std::array kOthers = {"pytorch_model.bin", "pytorch_model.bin.index.json",
                                         "tf_model.h5", "flax_model.msgpack",
                                         "consolidated.00.pth"};
  for (const char* other : kOthers)
    if (is_there(folder / other))
      return {folder.string(), fmt::format("holds weights only as {}, which is not read", other),
              "convert it to safetensors once: AutoModelForCausalLM.from_pretrained(folder)"
              ".save_pretrained(new_folder) in Python's transformers"};
  return {folder.string(), fmt::format("holds no weights: neither {} nor {}", kSingle, kIndex),
          "give a folder with safetensors, or train from a config alone with "
          "model_config.load_from_config"};
}

/// An index is looked for only where there is no single file, as transformers does.
Result<WeightFiles> find_weights(const fs::path& folder) {
  WeightFiles found;
  if (is_there(folder / kSingle)) {
    found.files = {kSingle};
  } else if (is_there(folder / kIndex)) {
    auto map = read_weight_map(folder / kIndex);
    if (!map) return map.fault();
    found.map = std::move(*map);
    std::set<std::string> files;
    for (const auto& [name, file] : found.map) files.insert(file);
    found.files.assign(files.begin(), files.end());
  }
  return found;
}

Result<TensorIndex> map_weights(const fs::path& folder, const WeightFiles& weights) {
  if (weights.files.empty()) return no_weights(folder);
  std::vector<std::string> missing;
  std::vector<fs::path> paths;
  for (const auto& file : weights.files) {
    paths.push_back(folder / file);
    if (!is_there(paths.back())) missing.push_back(file);
  }
  if (!missing.empty()) {
    const size_t shown = std::min<size_t>(missing.size(), 4);
    return Fault{
        folder.string(),
        fmt::format("{} of {} weight files are missing: {}{}", missing.size(), weights.files.size(),
                    fmt::join(missing.begin(), missing.begin() + shown, ", "),
                    shown < missing.size() ? ", ..." : ""),
        kDownloadAgain};
  }
  return TensorIndex::open(paths, weights.map);
}

}  // namespace

Result<TensorIndex> TensorIndex::open(const std::vector<fs::path>& paths,
                                      const std::map<std::string, std::string>& owner) {
  TensorIndex index;
  index.files_.reserve(paths.size());
  for (const auto& path : paths) {
    auto file = SafetensorsFile::open(path);
    if (!file) return file.fault();
    index.files_.push_back(std::move(*file));
  }
  for (const auto& file : index.files_) {
    for (const auto& tensor : file.tensors()) {
      const auto owned = owner.find(tensor.name);
      if (owned != owner.end() && owned->second != file.path().filename()) continue;
      const auto [there, is_new] = index.tensors_.try_emplace(tensor.name, &tensor);
      if (!is_new)
        return Fault{file.path().string(),
                     fmt::format("tensor {} stands in {} too", printable(tensor.name),
                                 index.file_of(*there->second).filename().string()),
                     "remove files of another checkpoint from the folder"};
    }
  }
  for (const auto& [name, file] : owner)
    if (!index.find(name))
      return Fault{
          (paths.front().parent_path() / file).string(),
          fmt::format("tensor {} should stand here by {}, but does not", printable(name), kIndex),
          kDownloadAgain};
  return index;
}

const TensorView* TensorIndex::find(std::string_view name) const {
  const auto found = tensors_.find(name);
  return found == tensors_.end() ? nullptr : found->second;
}

const fs::path& TensorIndex::file_of(const TensorView& tensor) const {
  const auto holds = [&](const SafetensorsFile& file) {
    const auto all = file.tensors();
    return !all.empty() && !std::less<>()(&tensor, all.data()) &&
           std::less<>()(&tensor, all.data() + all.size());
  };
  const auto found = std::find_if(files_.begin(), files_.end(), holds);
  if (found == files_.end())
    throw Error("", fmt::format("tensor {} is not of this index", printable(tensor.name)), "",
                Exit::failed);
  return found->path();
}

uint64_t TensorIndex::total_bytes() const {
  uint64_t total = 0;
  for (const auto& [name, tensor] : tensors_) total += tensor->bytes.size();
  return total;
}

Result<HfFolder> HfFolder::open(const fs::path& folder) {
  std::error_code ignored;
  if (!fs::is_directory(folder, ignored))
    return Fault{folder.string(), "is no folder", "give the folder of a Hugging Face checkpoint"};
  if (!is_there(folder / "config.json"))
    return Fault{folder.string(), "holds no config.json",
                 "give the folder of a Hugging Face checkpoint"};
  HfFolder result;
  result.path_ = folder;
  auto config = read_json_object(folder / "config.json");
  if (!config) return config.fault();
  result.config_ = std::move(*config);
  if (is_there(folder / "generation_config.json")) {
    auto generation = read_json_object(folder / "generation_config.json");
    if (!generation) return generation.fault();
    result.generation_config_ = std::move(*generation);
  }
  auto weights = find_weights(folder);
  if (!weights) return weights.fault();
  result.weights_ = std::move(*weights);
  return result;
}

Result<TensorIndex> HfFolder::weights() const {
  return map_weights(path_, weights_);
}

Result<TensorIndex> open_weights(const fs::path& folder) {
  const auto weights = find_weights(folder);
  return weights ? map_weights(folder, *weights) : weights.fault();
}

namespace {

/// Whether the first part of "models/x" is a folder of this machine rather than an owner of the
/// hub.
bool owner_is_folder(const std::string& name) {
  static const std::set<std::string> usual = {"checkpoints", "checkpoint", "ckpts",   "ckpt",
                                              "models",      "model",      "weights", "pretrained",
                                              "out",         "outputs",    "output",  "runs"};
  return usual.contains(name.substr(0, name.find('/')));
}

/// The fix for a folder that is not there.
std::string download_into(const std::string& path) {
  fs::path folder = path;
  if (!folder.has_filename()) folder = folder.parent_path();  // "models/x/"
  const std::string last = folder.filename().string();
  if (last.empty() || last.front() == '~') return "give the folder of a checkpoint";
  return fmt::format(
      "nothing is downloaded: run `hf download OWNER/{} --local-dir {}` first, or give the folder "
      "of a checkpoint",
      last, folder.string());
}

}  // namespace

Result<fs::path> locate_checkpoint(const std::string& name, const fs::path& hub_cache) {
  std::error_code ignored;
  if (fs::is_directory(name, ignored)) return fs::path(name);
  const bool is_hub_id = std::count(name.begin(), name.end(), '/') == 1 && name.front() != '/' &&
                         name.back() != '/' && name.front() != '.' && name.front() != '~';
  const auto near = nearest_path(name);
  if (near && fs::is_directory(*near, ignored))
    return Fault{name, "is no folder", fmt::format("did you mean '{}'?", *near)};
  if (!is_hub_id) return Fault{name, "is no folder", download_into(name)};
  const fs::path repository = hub_cache / ("models--" + name.substr(0, name.find('/')) + "--" +
                                           name.substr(name.find('/') + 1));
  const auto main =
      hub_cache.empty() ? Result<std::string>(Fault{}) : read_file(repository / "refs" / "main");
  if (main && is_plain_name(*main)) {
    const fs::path snapshot = repository / "snapshots" / *main;
    if (fs::is_directory(snapshot, ignored)) return snapshot;
  }
  return Fault{
      name,
      hub_cache.empty()
          ? "is no folder"
          : fmt::format("is neither a folder nor in the hub's cache {}", hub_cache.string()),
      owner_is_folder(name)
          ? download_into(name)
          : fmt::format("nothing is downloaded: run `hf download {}` first, or give a folder",
                        name)};
}

}  // namespace lmms::checkpoint
