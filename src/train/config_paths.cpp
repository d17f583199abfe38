#include <glob.h>

#include <filesystem>

#include "core/format.h"
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

/// "Qwen/Qwen3-8B": one slash, no dot or slash in front.
bool looks_like_hub_name(const std::string& path) {
  const size_t slash = path.find('/');
  return slash != std::string::npos && slash > 0 &&
         path.find('/', slash + 1) == std::string::npos && path[0] != '.' && path[0] != '~';
}

enum class Hub { never, maybe };  ///< could the path be meant as a name on the Hugging Face hub?

std::string missing(const std::string& path, const char* expected, Hub hub) {
  std::string text = fmt::format("'{}' does not exist; expected {}", path, expected);
  if (hub == Hub::maybe && looks_like_hub_name(path)) {
    text += "; names on the Hugging Face hub are not fetched: download it first";
  }
  return text;
}

}  // namespace

void check_paths(const LoadedConfig& loaded) {
  config::Faults faults;
  const Places places(loaded.given_at);
  const auto fault = [&](const std::string& key, const std::string& what) {
    faults.add(places.of(key), key, what);
  };
  const auto require = [&](const std::string& key, const std::string& path, const char* expected,
                           Hub hub) {
    if (!exists_or_matches(path)) fault(key, missing(path, expected, hub));
  };

  const data::DataConfig& data = loaded.config.dataset;
  const Hub data_hub =
      data.dataset_format == data::DatasetFormat::hf_dataset ? Hub::maybe : Hub::never;
  if (data.dataset_path) {
    require("dataset_config.dataset_path", *data.dataset_path, "a file or folder of data",
            data_hub);
  }
  if (data.eval_dataset_path) {
    require("dataset_config.eval_dataset_path", *data.eval_dataset_path, "a file or folder of data",
            data_hub);
  }
  for (size_t i = 0; i < data.datasets.size(); ++i) {
    const data::SourceConfig& source = data.datasets[i];
    const std::string key = fmt::format("dataset_config.datasets[{}].", i);
    require(key + "path", source.path, "a file or folder of data", Hub::never);
    if (!source.data_folder.empty())
      require(key + "data_folder", source.data_folder, "a folder", Hub::never);
  }
  const std::string& processor = data.processor.processor_name;
  if (!processor.empty()) {
    require("dataset_config.processor_config.processor_name", processor,
            "the folder of a tokenizer", Hub::maybe);
  }
  if (const auto& model = loaded.config.model.load_from_pretrained_path) {
    const std::string key = "model_config.load_from_pretrained_path";
    if (!exists(*model)) {
      fault(key, missing(*model, "the folder of a checkpoint", Hub::maybe));
    } else if (!exists((fs::path(*model) / "config.json").string())) {
      fault(key, fmt::format(
                     "'{}' holds no config.json; expected the folder of a Hugging Face checkpoint",
                     *model));
    }
  }
  const std::string& resume = loaded.config.trainer.resume_from_checkpoint.path;
  if (!resume.empty()) {
    require("trainer_args.resume_from_checkpoint", resume, "the folder of a checkpoint",
            Hub::never);
  }
  faults.throw_if_any();
}

}  // namespace lmms::train
