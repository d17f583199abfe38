#include "checkpoint/hf_folder.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <set>

#include "checkpoint/json_file.h"
#include "checkpoint/printable.h"
#include "core/format.h"
#include "core/log.h"
#include "core/nearest.h"

namespace lmms::checkpoint {
namespace fs = std::filesystem;
namespace {

constexpr const char* kSingle = "model.safetensors";
constexpr const char* kIndex = "model.safetensors.index.json";
constexpr const char* kTorchSingle = "pytorch_model.bin";
constexpr const char* kTorchIndex = "pytorch_model.bin.index.json";
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

/// Files of torch.save that may be a model's weights: what trainers put beside them is left out.
std::vector<std::string> torch_files(const fs::path& folder) {
  static const std::set<std::string> beside = {"optimizer.pt", "optimizer.bin",
                                               "scheduler.pt", "scheduler.bin",
                                               "scaler.pt",    "training_args.bin"};
  std::vector<std::string> names;
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(folder, ignored)) {
    const std::string name = entry.path().filename().string(),
                      kind = entry.path().extension().string();
    if ((kind == ".pt" || kind == ".pth" || kind == ".bin") && !beside.contains(name) &&
        !name.starts_with("rng_state") && entry.is_regular_file(ignored))
      names.push_back(name);
  }
  std::sort(names.begin(), names.end());
  return names;
}

/// What to say of a folder without weights.
Fault no_weights(const fs::path& folder) {
  const std::vector<std::string> several = torch_files(folder);
  if (several.size() > 1) {
    return {
        folder.string(),
        fmt::format("holds {} files that may be its weights: {}{}", several.size(),
                    fmt::join(several.begin(),
                              several.begin() + std::min<ptrdiff_t>(4, std::ssize(several)), ", "),
                    several.size() > 4 ? ", ..." : ""),
        fmt::format("leave one beside config.json, or call it {}", kTorchSingle)};
  }
  static constexpr std::array kOthers = {"tf_model.h5", "flax_model.msgpack"};
  for (const char* other : kOthers)
    if (is_there(folder / other))
      return {folder.string(), fmt::format("holds weights only as {}, which is not read", other),
              "convert it to safetensors once: AutoModelForCausalLM.from_pretrained(folder)"
              ".save_pretrained(new_folder) in Python's transformers"};
  return {folder.string(), fmt::format("holds no weights: neither {} nor {}", kSingle, kIndex),
          "give a folder with safetensors, or train from a config alone with "
          "model_config.load_from_config"};
}

/// An index is looked for only where there is no single file, and files of torch.save only where
/// there are no safetensors, as transformers does.
Result<WeightFiles> find_weights(const fs::path& folder) {
  WeightFiles found;
  for (const auto& [single, index] :
       {std::pair(kSingle, kIndex), std::pair(kTorchSingle, kTorchIndex)}) {
    if (is_there(folder / single)) {
      found.files = {single};
      return found;
    }
    if (!is_there(folder / index)) continue;
    auto map = read_weight_map(folder / index);
    if (!map) return map.fault();
    found.map = std::move(*map);
    found.index = index;
    std::set<std::string> files;
    for (const auto& [name, file] : found.map) files.insert(file);
    found.files.assign(files.begin(), files.end());
    return found;
  }
  if (const std::vector<std::string> other = torch_files(folder); other.size() == 1)
    found.files = other;
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

namespace {

using File = std::variant<SafetensorsFile, TorchFile>;

std::span<const TensorView> tensors_of(const File& file) {
  return std::visit([](const auto& f) { return f.tensors(); }, file);
}

const fs::path& path_of(const File& file) {
  return std::visit([](const auto& f) -> const fs::path& { return f.path(); }, file);
}

}  // namespace

Result<TensorIndex> TensorIndex::open(const std::vector<fs::path>& paths,
                                      const std::map<std::string, std::string>& owner) {
  TensorIndex index;
  index.files_.reserve(paths.size());
  for (const auto& path : paths) {
    if (const auto fault = index.add(path)) return *fault;
  }
  for (const auto& file : index.files_) {
    for (const auto& tensor : tensors_of(file)) {
      const auto owned = owner.find(tensor.name);
      if (owned != owner.end() && owned->second != path_of(file).filename()) continue;
      const auto [there, is_new] = index.tensors_.try_emplace(tensor.name, &tensor);
      if (!is_new)
        return Fault{path_of(file).string(),
                     fmt::format("tensor {} stands in {} too", printable(tensor.name),
                                 index.file_of(*there->second).filename().string()),
                     "remove files of another checkpoint from the folder"};
    }
  }
  for (const auto& [name, file] : owner)
    if (!index.find(name))
      return Fault{(paths.front().parent_path() / file).string(),
                   fmt::format("tensor {} should stand here by the index of the shards, but does "
                               "not",
                               printable(name)),
                   kDownloadAgain};
  return index;
}

std::optional<Fault> TensorIndex::add(const fs::path& path) {
  if (!begins_as_torch_file(path)) {
    auto file = SafetensorsFile::open(path);
    if (!file) return file.fault();
    files_.emplace_back(std::move(*file));
    return std::nullopt;
  }
  auto file = TorchFile::open(path);
  if (!file) return file.fault();
  if (!file->below().empty())
    log::notice(fmt::format("{}: the weights below '{}' are read", path.string(), file->below()));
  files_.emplace_back(std::move(*file));
  return std::nullopt;
}

const TensorView* TensorIndex::find(std::string_view name) const {
  const auto found = tensors_.find(name);
  return found == tensors_.end() ? nullptr : found->second;
}

const fs::path& TensorIndex::file_of(const TensorView& tensor) const {
  const auto holds = [&](const File& file) {
    const auto all = tensors_of(file);
    return !all.empty() && !std::less<>()(&tensor, all.data()) &&
           std::less<>()(&tensor, all.data() + all.size());
  };
  const auto found = std::find_if(files_.begin(), files_.end(), holds);
  if (found == files_.end())
    throw Error("", fmt::format("tensor {} is not of this index", printable(tensor.name)), "",
                Exit::failed);
  return path_of(*found);
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
