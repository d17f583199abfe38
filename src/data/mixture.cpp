#include "data/mixture.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <system_error>

#include "core/config/fields.h"
#include "core/config/schema.h"
#include "core/config/yaml.h"
#include "core/files.h"
#include "core/format.h"
#include "data/source.h"

namespace lmms::data {
namespace fs = std::filesystem;
namespace {

struct Mixture {
  std::vector<SourceConfig> datasets;
};

void fields(config::Fields& f, Mixture& c) {
  f("datasets", c.datasets, "the sources", config::Rule().required());
}

SourceConfig source(std::string path, std::string_view data_type) {
  SourceConfig config;
  config.path = std::move(path);
  config.data_type = std::string(data_type);
  return config;
}

/// A folder as the hub lays data sets out: the files of the split `train`, of one format.
Result<std::vector<SourceConfig>> hub_folder(const std::string& path) {
  if (!fs::is_directory(path)) {
    return Fault{path,
                 "no such folder; hf_dataset reads folders of this machine, and nothing from "
                 "the network",
                 fmt::format("hf download --repo-type dataset {} --local-dir FOLDER, then name the "
                             "folder",
                             path)};
  }
  if (infer_format(path) == Format::arrow) return std::vector{source(path, "arrow")};
  constexpr Format kFormats[] = {Format::parquet, Format::jsonl, Format::json, Format::csv,
                                 Format::arrow};
  for (const auto format : kFormats) {
    std::vector<std::string> all, train;
    std::error_code error;
    for (fs::recursive_directory_iterator at(path, error), end; at != end; at.increment(error)) {
      if (error || !at->is_regular_file() || infer_format(at->path().string()) != format) continue;
      all.push_back(at->path().string());
      // data/train-00000-of-00002.parquet, or train/0000.parquet
      const auto inside = at->path().lexically_relative(path);
      const bool named = std::any_of(inside.begin(), inside.end(), [](const fs::path& part) {
        return part.string().starts_with("train");
      });
      if (named) train.push_back(all.back());
    }
    auto& files = train.empty() ? all : train;
    if (files.empty()) continue;
    std::sort(files.begin(), files.end());
    std::vector<SourceConfig> sources;
    for (auto& file : files) sources.push_back(source(std::move(file), format_name(format)));
    return sources;
  }
  return Fault{path, "the folder holds no parquet, jsonl, json, csv or arrow file", ""};
}

/// Whether the file is a list of rows in JSON: a mixture may be JSON, too, but is a map.
bool is_json_list(const std::string& path) {
  std::ifstream file(path);
  char first = 0;  // that is no white space
  return file >> first && first == '[';
}

/// The folder of media that all sources of an inline mixture share; else empty.
std::string shared_data_folder(const std::vector<SourceConfig>& sources) {
  const bool shared = std::all_of(sources.begin(), sources.end(), [&](const SourceConfig& other) {
    return other.data_folder == sources.front().data_folder;
  });
  return shared && !sources.empty() ? sources.front().data_folder : "";
}

/// Under dataset_format: yaml: a mixture, or what is no YAML by its suffix and therefore data
/// itself, such as an eval_dataset_path beside an inline list, whose folder of media is theirs too.
Result<std::vector<SourceConfig>> mixture_or_data(const std::string& path,
                                                  const DataConfig& config) {
  const auto format = infer_format(path);
  if (!format || (*format == Format::json && !is_json_list(path)))
    return read_mixture(path, config.home);
  SourceConfig data = source(path, format_name(*format));
  data.data_folder = shared_data_folder(config.datasets);
  return std::vector{std::move(data)};
}

}  // namespace

Result<std::vector<SourceConfig>> read_mixture(const std::string& path, const std::string& home) {
  auto text = read_file(path);
  if (!text) return text.fault();
  config::Faults faults;
  const auto root = config::parse_yaml(*text, path, faults);
  Mixture mixture;
  config::Fields list;
  fields(list, mixture);
  config::read_config(root, list, faults, {.home = home, .later = {}});
  if (!faults.empty()) return Fault{"", faults.text(), ""};
  if (mixture.datasets.empty()) return Fault{path, "datasets: names no source", ""};
  return std::move(mixture.datasets);
}

Result<std::vector<SourceConfig>> sources_of(const DataConfig& config,
                                             const std::optional<std::string>& path) {
  if (!path && !config.datasets.empty()) return config.datasets;
  const auto& chosen = path ? path : config.dataset_path;
  if (!chosen || chosen->empty()) {
    return Fault{"dataset_config", "names no data", "give dataset_path or datasets"};
  }
  switch (config.dataset_format) {
    case DatasetFormat::json:
      return std::vector{source(*chosen, "json")};
    case DatasetFormat::jsonl:
      return std::vector{source(*chosen, "jsonl")};
    case DatasetFormat::csv:
      return std::vector{source(*chosen, "csv")};
    case DatasetFormat::arrow:
      return std::vector{source(*chosen, "arrow")};
    case DatasetFormat::parquet:
      return std::vector{source(*chosen, "parquet")};
    case DatasetFormat::image_folder:
      return std::vector{source(*chosen, "image_folder")};
    case DatasetFormat::latents:
      return std::vector{source(*chosen, "latents")};
    case DatasetFormat::hf_dataset:
      return hub_folder(*chosen);
    case DatasetFormat::yaml:
      return mixture_or_data(*chosen, config);
  }
  return Fault{"dataset_config.dataset_format", "a format without a reader", ""};
}

}  // namespace lmms::data
