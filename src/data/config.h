#pragma once
/// `dataset_config`: what is read, how it is turned into samples, how samples fill rows.
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/config/names.h"
#include "core/config/value.h"

namespace lmms::config {
class Fields;
}

namespace lmms::data {

/// `dataset_format`; `yaml` is a mixture: an external file (`dataset_path`) or the inline list
/// (`datasets`).
enum class DatasetFormat {
  json,
  jsonl,
  csv,
  yaml,
  hf_dataset,
  arrow,
  parquet,
  image_folder,  ///< ROOT/CLASS/**/*.jpg
  latents        ///< what `lmms cache-latents` wrote
};
/// What a broken record does: `fail` ends the run with file, row and cause; `skip` counts it.
enum class OnBadSample { fail, skip };
/// What a sample longer than the limit does.
enum class OnOverlong { drop, truncate, fail };
/// What a run does that goes on with data of another content (as many rows) than its checkpoint's:
/// `fail` ends it with the names of the files.
enum class OnChangedData { fail, go_on };
/// How samples fill rows of `packing_length` tokens.
enum class PackingStrategy { first_fit, best_fit, balanced, sequential };

/// What a data set's records are, and a processor makes samples of.
enum class RecordForm {
  chats,        ///< of text
  media_chats,  ///< with images and videos
  plain_text,   ///< texts without turns
  class_images  ///< images or their latents, with a class
};

/// One entry of a mixture.
struct SourceConfig {
  std::string path;         ///< file or folder; parquet may be a glob
  std::string data_folder;  ///< joined in front of every media path; may be empty
  std::optional<std::string>
      data_type;        ///< name of a data::Format; absent: from the suffix or the folder
  double weight = 1.0;  ///< an epoch takes round(weight x rows) samples of it

  bool operator==(const SourceConfig&) const = default;
};

struct ProcessorConfig {
  std::string
      processor_name;  ///< folder with tokenizer (and media) files; empty: that of the model
  std::string processor_type;                        ///< of processor_types.def
  config::Value extra_kwargs{config::Value::Map{}};  ///< a map, read by the processor
  /// Of a plugin's type: no key, the reader fills it in.
  std::optional<RecordForm> form = {};

  /// What it makes samples of; nullopt: a type that is not known.
  std::optional<RecordForm> record_form() const;
  /// Whether the processor reads images; else they are faults of a record.
  bool takes_images() const;
  bool operator==(const ProcessorConfig&) const = default;
};

struct PackingConfig {
  int64_t num_open_bins = 8;  ///< most bins that a lane holds open

  bool operator==(const PackingConfig&) const = default;
};

/// How frames are taken from videos.
struct VideoConfig {
  std::string sampling_strategy = "fps";  ///< fps | frame_num
  int64_t max_pixels = 602112;            ///< per frame
  int64_t min_pixels = 3136;              ///< per frame
  int64_t max_frames = 768;
  int64_t frame_num = 64;
  double fps = 1.0;

  bool operator==(const VideoConfig&) const = default;
};

struct DataConfig {
  std::string dataset_type;  ///< of dataset_types.def
  DatasetFormat dataset_format = DatasetFormat::yaml;
  std::optional<std::string> dataset_path;
  std::vector<SourceConfig> datasets;  ///< inline mixture; excludes dataset_path
  std::optional<std::string> eval_dataset_path;
  ProcessorConfig processor;

  bool shuffle = true;
  int64_t data_seed = 42;

  bool packing = false;
  PackingStrategy packing_strategy = PackingStrategy::first_fit;
  int64_t packing_length = 32000;  ///< tokens of a row
  std::optional<int64_t>
      packing_patches;  ///< patches of images and videos of a row; absent: as many as come
  PackingConfig packing_kwargs;

  std::optional<int64_t>
      max_length;  ///< longest sample, in tokens; with packing at most packing_length
  bool filter_overlong = true;
  OnBadSample on_bad_sample = OnBadSample::fail;
  std::optional<OnOverlong> on_overlong;  ///< use overlong()
  OnChangedData on_changed_data = OnChangedData::fail;

  VideoConfig video;
  config::Value extra_kwargs{config::Value::Map{}};  ///< a map, read by the dataset type
  std::string
      home;  ///< for `~` in the paths of an external mixture: no key, the reader fills it in

  /// Images or their latents, with a class.
  bool class_images() const;
  /// All of them are latents already (`lmms cache-latents`).
  bool holds_latents() const;
  /// Documents for pretraining: cut at packing_length, with packing or without, as the Python
  /// project does.
  bool plain_text() const;
  /// The policy for over-long samples: on_overlong, else `truncate` for plain text, else `drop`
  /// while filter_overlong is true, else `fail`.
  OnOverlong overlong() const;
  /// Tokens that a sample may have: the smaller of max_length and (with packing) packing_length;
  /// absent: no limit.
  std::optional<int64_t> length_limit() const;

  bool operator==(const DataConfig&) const = default;
};

/// What the records of a type of dataset_types.def or processor_types.def are; nullopt: it is not
/// built, or none of the names.
std::optional<RecordForm> dataset_form(std::string_view dataset_type);
std::optional<RecordForm> processor_form(std::string_view processor_type);

/// The names in dataset_types.def and processor_types.def, in their order.
std::span<const config::Name> dataset_type_names();
std::span<const config::Name> processor_type_names();
std::span<const config::EnumName<DatasetFormat>> enum_names(DatasetFormat);
std::span<const config::EnumName<OnBadSample>> enum_names(OnBadSample);
std::span<const config::EnumName<OnOverlong>> enum_names(OnOverlong);
std::span<const config::EnumName<OnChangedData>> enum_names(OnChangedData);
std::span<const config::EnumName<PackingStrategy>> enum_names(PackingStrategy);

void fields(config::Fields& f, SourceConfig& c);
void fields(config::Fields& f, ProcessorConfig& c);
void fields(config::Fields& f, PackingConfig& c);
void fields(config::Fields& f, DataConfig& c);

}  // namespace lmms::data
