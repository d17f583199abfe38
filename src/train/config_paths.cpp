#include <glob.h>

#include <filesystem>

#include "checkpoint/hf_folder.h"
#include "core/format.h"
#include "core/nearest.h"
#include "train/config.h"
#include "train/config_validate.h"

namespace lmms::train {

namespace fs = std::filesystem;

namespace {

bool exists(const std::string& path) {
  std::error_code failure;
  return fs::exists(path, failure);
}

/// A file or folder, or a glob that matches something.
bool exists_or_matches(const std::string& path) {
  if (exists(path)) return true;
  if (path.find_first_of("*?[") == std::string::npos) return false;
  glob_t matches{};
  const bool some = glob(path.c_str(), GLOB_NOSORT, nullptr, &matches) == 0 && matches.gl_pathc > 0;
  globfree(&matches);
  return some;
}

}  // namespace

void check_paths(const LoadedConfig& loaded, const std::string& hub_cache, Reads reads) {
  config::Faults faults;
  const Places places(loaded.given_at);
  const auto fault = [&](const std::string& key, const std::string& what) {
    faults.add(places.of(key), key, what);
  };
  const auto require = [&](const std::string& key, const std::string& path, const char* expected) {
    if (exists_or_matches(path)) return;
    const auto near = nearest_path(path);
    fault(key, fmt::format("'{}' does not exist; {}", path,
                           near ? fmt::format("did you mean '{}'?", *near)
                                : fmt::format("expected {}", expected)));
  };
  /// The folder of a checkpoint, or a fault and nothing.
  const auto locate = [&](const std::string& key,
                          const std::string& name) -> std::optional<fs::path> {
    Result<fs::path> found = checkpoint::locate_checkpoint(name, hub_cache);
    if (found) return std::move(found).take();
    fault(key, fmt::format("'{}' {}; {}", name, found.fault().what, found.fault().fix));
    return std::nullopt;
  };

  const data::DataConfig& data = loaded.config.dataset;
  if (data.dataset_path)
    require("dataset_config.dataset_path", *data.dataset_path, "a file or folder of data");
  if (data.eval_dataset_path) {
    require("dataset_config.eval_dataset_path", *data.eval_dataset_path,
            "a file or folder of data");
  }
  for (size_t i = 0; i < data.datasets.size(); ++i) {
    const data::SourceConfig& source = data.datasets[i];
    const std::string key = fmt::format("dataset_config.datasets[{}].", i);
    require(key + "path", source.path, "a file or folder of data");
    if (!source.data_folder.empty()) require(key + "data_folder", source.data_folder, "a folder");
  }
  const std::string& processor = data.processor.processor_name;
  if (!processor.empty()) locate("dataset_config.processor_config.processor_name", processor);
  if (reads == Reads::data) return faults.throw_if_any();
  if (const auto& model = loaded.config.model.load_from_pretrained_path) {
    const std::string key = "model_config.load_from_pretrained_path";
    const std::optional<fs::path> folder = locate(key, *model);
    if (folder && !exists((*folder / "config.json").string())) {
      fault(key, fmt::format(
                     "'{}' holds no config.json; expected the folder of a Hugging Face checkpoint",
                     folder->string()));
    }
  }
  for (fs::path part = loaded.config.trainer.output_dir; !part.empty();
       part = part.has_relative_path() ? part.parent_path() : fs::path()) {
    std::error_code none;
    if (!fs::exists(part, none)) continue;
    if (!fs::is_directory(part, none)) {
      fault("trainer_args.output_dir",
            fmt::format("'{}' is a file; expected a folder", part.string()));
    }
    break;
  }
  const std::string& resume = loaded.config.trainer.resume_from_checkpoint.path;
  if (!resume.empty())
    require("trainer_args.resume_from_checkpoint", resume, "the folder of a checkpoint");
  faults.throw_if_any();
}

}  // namespace lmms::train
