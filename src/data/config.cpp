#include "data/config.h"

#include <algorithm>
#include <array>

#include "core/config/fields.h"
#include "data/source.h"

namespace lmms::data {

using config::Built;
using config::EnumName;
using config::Fields;
using config::Name;
using config::Rule;
using config::Type;

std::span<const Name> dataset_type_names() {
#define LMMS_DATASET_TYPE(name, form, help) Name{#name, Built::built, help},
#define LMMS_DATASET_TYPE_LATER(name, help) Name{#name, Built::later, help},
  static const std::array list = {
#include "data/dataset_types.def"
  };
#undef LMMS_DATASET_TYPE
#undef LMMS_DATASET_TYPE_LATER
  return list;
}

std::span<const Name> processor_type_names() {
#define LMMS_PROCESSOR_TYPE(name, form, help) Name{#name, Built::built, help},
#define LMMS_PROCESSOR_TYPE_LATER(name, help) Name{#name, Built::later, help},
  static const std::array list = {
#include "data/processor_types.def"
  };
#undef LMMS_PROCESSOR_TYPE
#undef LMMS_PROCESSOR_TYPE_LATER
  return list;
}

std::optional<RecordForm> dataset_form(std::string_view dataset_type) {
#define LMMS_DATASET_TYPE(name, form, help) \
  if (dataset_type == #name) return RecordForm::form;
#define LMMS_DATASET_TYPE_LATER(name, help)
#include "data/dataset_types.def"
#undef LMMS_DATASET_TYPE
#undef LMMS_DATASET_TYPE_LATER
  return std::nullopt;
}

std::optional<RecordForm> processor_form(std::string_view processor_type) {
#define LMMS_PROCESSOR_TYPE(name, form, help) \
  if (processor_type == #name) return RecordForm::form;
#define LMMS_PROCESSOR_TYPE_LATER(name, help)
#include "data/processor_types.def"
#undef LMMS_PROCESSOR_TYPE
#undef LMMS_PROCESSOR_TYPE_LATER
  return std::nullopt;
}

std::optional<RecordForm> ProcessorConfig::record_form() const {
  return form ? form : processor_form(processor_type);
}

bool ProcessorConfig::takes_images() const {
  return record_form() == RecordForm::media_chats;
}

std::span<const EnumName<DatasetFormat>> enum_names(DatasetFormat) {
  static constexpr EnumName<DatasetFormat> list[] = {
      {DatasetFormat::json, "json"},
      {DatasetFormat::jsonl, "jsonl"},
      {DatasetFormat::csv, "csv"},
      {DatasetFormat::yaml, "yaml"},
      {DatasetFormat::hf_dataset, "hf_dataset"},
      {DatasetFormat::arrow, "arrow"},
      {DatasetFormat::parquet, "parquet"},
      {DatasetFormat::image_folder, "image_folder"},
      {DatasetFormat::latents, "latents"},
  };
  return list;
}

std::span<const EnumName<OnBadSample>> enum_names(OnBadSample) {
  static constexpr EnumName<OnBadSample> list[] = {{OnBadSample::fail, "fail"},
                                                   {OnBadSample::skip, "skip"}};
  return list;
}

std::span<const EnumName<OnOverlong>> enum_names(OnOverlong) {
  static constexpr EnumName<OnOverlong> list[] = {
      {OnOverlong::drop, "drop"}, {OnOverlong::truncate, "truncate"}, {OnOverlong::fail, "fail"}};
  return list;
}

std::span<const EnumName<OnChangedData>> enum_names(OnChangedData) {
  static constexpr EnumName<OnChangedData> list[] = {{OnChangedData::fail, "fail"},
                                                     {OnChangedData::go_on, "go_on"}};
  return list;
}

std::span<const EnumName<PackingStrategy>> enum_names(PackingStrategy) {
  static constexpr EnumName<PackingStrategy> list[] = {
      {PackingStrategy::first_fit, "first_fit"},
      {PackingStrategy::best_fit, "best_fit"},
      {PackingStrategy::balanced, "balanced"},
      {PackingStrategy::sequential, "sequential"},
  };
  return list;
}

bool DataConfig::plain_text() const {
  return processor.record_form() == RecordForm::plain_text;
}

bool DataConfig::holds_latents() const {
  if (dataset_format == DatasetFormat::latents) return true;
  return !datasets.empty() && std::all_of(datasets.begin(), datasets.end(), [](const auto& source) {
    const auto format =
        source.data_type ? parse_format(*source.data_type) : infer_format(source.path);
    return format == Format::latents;
  });
}

bool DataConfig::class_images() const {
  return processor.record_form() == RecordForm::class_images;
}

OnOverlong DataConfig::overlong() const {
  if (on_overlong) return *on_overlong;
  if (plain_text()) return OnOverlong::truncate;
  return filter_overlong ? OnOverlong::drop : OnOverlong::fail;
}

std::optional<int64_t> DataConfig::length_limit() const {
  if (!packing && !plain_text()) return max_length;
  return max_length ? std::min(*max_length, packing_length) : packing_length;
}

void fields(Fields& f, SourceConfig& c) {
  f("path", c.path, "file or folder; a parquet path may be a glob", Rule().required().path());
  f("data_folder", c.data_folder, "joined in front of every media path", Rule().or_null().path());
  f("data_type", c.data_type, "format; absent: from the suffix of the path",
    Rule().one_of({"json", "jsonl", "csv", "arrow", "parquet", "image_folder", "latents"}));
  f("weight", c.weight, "an epoch takes round(weight x rows) samples of it",
    Rule().more_than(0).at_most(1e6));
  f.alias("json_path", "path");
}

void fields(Fields& f, ProcessorConfig& c) {
  f("processor_name", c.processor_name, "folder of the tokenizer; empty: that of the model",
    Rule().or_null().path());
  f("processor_type", c.processor_type, "how records become tokens",
    Rule().one_of(processor_type_names()).extended_by("processor_type").required());
  f("extra_kwargs", c.extra_kwargs, "arguments of the processor",
    Rule()
        .keys({"image_max_pixels",
               "image_min_pixels",
               "video_max_pixels",
               "video_min_pixels",
               "append_eos",
               "chat_template",
               "audio_max_length",
               "use_audio_in_video",
               "rt_pad_label_mask_ratio",
               "image_token",
               "video_token",
               "image_token_count",
               "faster_token_stride",
               "mm_spatial_pool_stride",
               "vit_patch_size",
               "max_num_patch_per_side",
               "interpolate_pos",
               "vae_image_downsample",
               "max_latent_size",
               "text_cond_dropout_prob",
               "vit_cond_dropout_prob",
               "vae_cond_dropout_prob",
               "user_image_as_vae_condition",
               "random_seed",
               "vae_image_stride",
               "vae_max_image_size",
               "vae_min_image_size",
               "vit_image_stride",
               "vit_max_image_size",
               "vit_min_image_size",
               "vit_max_pixels",
               "image_size",
               "do_resize",
               "size",
               "do_center_crop",
               "crop_size",
               "do_normalize",
               "image_mean",
               "image_std",
               "do_convert_rgb"})
        .extended_by("arguments of processor_type")
        .or_null());
  f.alias("kwargs", "extra_kwargs");
}

void fields(Fields& f, PackingConfig& c) {
  f("num_open_bins", c.num_open_bins, "bins that a lane holds open",
    Rule().at_least(1).at_most(4096));
  f.alias("num_open_buckets", "num_open_bins");
  f.alias("num_buckets", "num_open_bins");
  f.ignored("fill_threshold", "a bin closes when nothing fits");
  f.ignored("max_swap_iters", "balanced places each sample once");
  f.ignored("min_gain", "balanced places each sample once");
}

void fields(Fields& f, DataConfig& c) {
  f("dataset_type", c.dataset_type, "what the records are",
    Rule().one_of(dataset_type_names()).extended_by("dataset_type").required());
  f("dataset_format", c.dataset_format, "format of dataset_path; yaml: a mixture",
    Rule().required());
  f("dataset_path", c.dataset_path, "file or folder with the training data", Rule().path());
  f("datasets", c.datasets, "inline mixture, instead of dataset_path", Rule().or_null());
  f("eval_dataset_path", c.eval_dataset_path, "file or folder with the evaluation data",
    Rule().path());
  f("processor_config", c.processor, "how records become samples", Rule().required());
  f("shuffle", c.shuffle, "a new order every epoch; false: the order of the files");
  f("data_seed", c.data_seed, "of the order", Rule().at_least(0).or_null());
  f("packing", c.packing, "several samples share a row", Rule().or_null());
  f("packing_strategy", c.packing_strategy, "how samples fill rows", Rule().or_null());
  f("packing_length", c.packing_length, "tokens of a row",
    Rule().at_least(1).at_most(1 << 30).or_null());
  f("packing_patches", c.packing_patches,
    "patches of images and videos of a row, at most, with packing; absent: as many as come",
    Rule().at_least(1).at_most(1 << 30));
  f("packing_kwargs", c.packing_kwargs, "arguments of the strategy; also read under extra_kwargs",
    Rule().or_null());
  f("max_length", c.max_length, "longest sample, in tokens", Rule().at_least(1).at_most(1 << 30));
  f("filter_overlong", c.filter_overlong, "chooses the default of on_overlong", Rule().or_null());
  f("on_bad_sample", c.on_bad_sample, "a broken record ends the run, or is skipped and counted");
  f("on_overlong", c.on_overlong,
    "samples beyond the limit; absent: truncate plain text, else drop while filter_overlong is "
    "true, "
    "else fail");
  f("on_changed_data", c.on_changed_data,
    "data of another content when a run goes on ends it, or is trained from the same place on");
  f.ignored("filter_overlong_workers", "lengths are measured while reading");
  f.usual("filter_overlong_workers", {"8"});
  f("video_sampling_strategy", c.video.sampling_strategy, "frames by rate or by number",
    Rule().one_of({"fps", "frame_num"}).or_null());
  f("video_max_pixels", c.video.max_pixels, "largest frame", Rule().at_least(1).or_null());
  f("video_min_pixels", c.video.min_pixels, "smallest frame", Rule().at_least(0).or_null());
  f("video_max_frames", c.video.max_frames, "most frames of a video", Rule().at_least(1).or_null());
  f("frame_num", c.video.frame_num, "frames of a video under frame_num",
    Rule().at_least(1).or_null());
  f("fps", c.video.fps, "frames of a second under fps", Rule().more_than(0).or_null());
  f.ignored("video_backend", "videos are read by one decoder");
  f.usual("video_backend", {"qwen_vl_utils"});
  f.unbuilt("object_storage", Type::text, {"none", "null"}, "where media lie, other than in files");
  f.ignored("bucket_name", "object_storage is not built yet");
  f("extra_kwargs", c.extra_kwargs, "arguments of the dataset type",
    Rule()
        .or_null()
        .keys({"image_max_pixels", "image_min_pixels", "video_max_pixels", "video_min_pixels",
               "collator_type", "use_audio_in_video", "video_decode_backend", "video_decode_device",
               "image_column", "label_column", "data_folder", "frames_upbound", "force_sample",
               "add_time_instruction", "faster_token_stride", "mm_spatial_pool_stride",
               "mm_spatial_pool_mode"})
        .extended_by("arguments of dataset_type"));
}

}  // namespace lmms::data
