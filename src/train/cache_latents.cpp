#include "train/cache_latents.h"

#include <ATen/core/Tensor.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/from_blob.h>

#include <algorithm>
#include <cmath>
#include <optional>

#include "checkpoint/output_lock.h"
#include "checkpoint/safetensors.h"
#include "core/format.h"
#include "core/hash.h"
#include "core/in_order.h"
#include "core/log.h"
#include "data/fingerprint.h"
#include "data/latent_cache.h"
#include "data/latents.h"
#include "data/loader.h"
#include "data/mixture.h"
#include "generate/denoiser_checkpoint.h"
#include "kernels/open_device.h"
#include "models/autoencoder_kl/autoencoder_kl.h"
#include "models/denoiser.h"
#include "train/data_setup.h"
#include "train/model_setup.h"

namespace lmms::train {
namespace {

namespace fs = std::filesystem;
using data::LatentIndex;
using data::LatentSettings;
using data::LatentShard;

// Key of a shard's metadata: the settings that it was made with.
constexpr const char* kSettingsKey = "settings";
constexpr const char* kSkippedKey = "skipped";

at::ScalarType scalar_type(checkpoint::DType dtype) {
  switch (dtype) {
    case checkpoint::DType::f16:
      return at::kHalf;
    case checkpoint::DType::bf16:
      return at::kBFloat16;
    default:
      return at::kFloat;
  }
}

/// Tells an autoencoder from another one: the sums of its config and weights.
std::string fingerprint_of(const fs::path& given) {
  std::error_code none;
  const bool pipeline = !fs::exists(given / "config.json", none);
  const fs::path folder = pipeline ? given / "vae" : given;
  std::vector<fs::path> files;
  for (const auto& entry : fs::directory_iterator(folder, none)) {
    const std::string suffix = entry.path().extension().string();
    if (suffix == ".safetensors" || suffix == ".bin" || suffix == ".json")
      files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  std::string text;
  const auto sums = checkpoint::sums_of(files);
  for (const auto& sum : sums) {
    if (!sum) throw Error(sum.fault());
    text += hash_text(sum->checksum) + "\n";
  }
  return hash_text(hash64(text));
}

/// Tells the images and their order from others.
std::string fingerprint_of(const data::Dataset& dataset, const data::DataConfig& config) {
  std::string text;
  for (const char* key : {"image_column", "label_column"}) {
    const config::Value* value = config.extra_kwargs.find(key);
    const std::string* name = value != nullptr ? std::get_if<std::string>(&value->data) : nullptr;
    text += fmt::format("{}={}\n", key, name != nullptr ? *name : "");
  }
  text += config.on_bad_sample == data::OnBadSample::skip ? "skip\n" : "fail\n";
  for (const auto& source : data::fingerprints_of(dataset))
    for (const auto& file : source.files) text += fmt::format("{} {}\n", file.bytes, file.hash);
  return hash_text(hash64(text));
}

/// An image as the autoencoder takes it.
struct Pixels {
  std::vector<float> values;  ///< [versions, 3, side, side]
  int64_t label = 0;
};

struct Latents {
  at::Tensor mean, deviation;  ///< [n, versions, C, h, w]
};

class Cacher {
 public:
  Cacher(const LoadedConfig& loaded, const Place& place, const CacheOptions& options)
      : options_(options), source_(make_model(loaded, place)) {
    const models::Denoiser* denoiser = source_.model->denoiser();
    const std::string where = loaded.where("model_config");
    if (denoiser == nullptr || denoiser->autoencoder_path().empty()) {
      throw Error(where, "the model takes no latents of an autoencoder: there is nothing to cache",
                  "set vae_path in the model's config");
    }
    if (loaded.config.dataset.holds_latents()) {
      throw Error(loaded.where("dataset_config"), "the data are cached latents already",
                  "give the config of the images");
    }
    const fs::path folder = generate::locate_autoencoder(denoiser->autoencoder_path(),
                                                         source_.folder, place.hub_cache, where);
    device_ = kernels::open_device(place.device(loaded.config.trainer.use_cpu || options.use_cpu));
    autoencoder_ = models::open_autoencoder(folder, device_);
    processor_ = open_processor(loaded, source_.folder, place.hub_cache).processor;
    skips_ = loaded.config.dataset.on_bad_sample == data::OnBadSample::skip;
    open_dataset(loaded);
    index_.autoencoder_path = denoiser->autoencoder_path();
    index_.classes = denoiser->classes();
    set_settings(*denoiser, folder, loaded.config.dataset);
  }

  CacheSummary run() {
    fs::create_directories(options_.output);
    const checkpoint::OutputLock lock(options_.output);
    if (is_done()) return summary(/*finished=*/true);
    const int64_t rows = dataset_->rows_per_epoch();
    const int64_t shards = (rows + options_.rows_per_shard - 1) / options_.rows_per_shard;
    ThreadPool pool(data::loader_threads(options_.threads), "decode");
    for (int64_t shard = 0; shard < shards; ++shard) {
      if (take_found(shard)) continue;
      if (!make(shard, pool)) return summary(/*finished=*/false);
    }
    write_atomically(options_.output / data::kLatentIndex, data::to_json(index_).dump(2) + "\n");
    return summary(/*finished=*/true);
  }

 private:
  void open_dataset(const LoadedConfig& loaded) {
    const data::DataConfig& c = loaded.config.dataset;
    if (options_.evaluation && !c.eval_dataset_path) {
      throw Error(loaded.where("dataset_config.eval_dataset_path"),
                  "the config has no evaluation data",
                  "give eval_dataset_path, or leave --eval out");
    }
    data::DatasetOptions sources;
    sources.sources =
        data::sources_of(c, options_.evaluation ? c.eval_dataset_path : std::nullopt).take();
    for (data::SourceConfig& source : sources.sources) source.weight = 1.0;  // each image once
    sources.shuffle = false;
    dataset_ = data::Dataset::open(sources).take();
  }

  void set_settings(const models::Denoiser& denoiser, const fs::path& folder,
                    const data::DataConfig& config) {
    const models::Autoencoder& vae = *autoencoder_;
    const models::LatentShape shape = denoiser.shape();
    if (vae.channels() != shape.channels) {
      throw Error(
          folder.string(),
          fmt::format("latents of {} channels, the model takes {}", vae.channels(), shape.channels),
          "take the autoencoder that belongs to the model (vae_path, in_channels)");
    }
    LatentSettings& s = index_.settings;
    s.autoencoder = fingerprint_of(folder);
    s.data = fingerprint_of(*dataset_, config);
    s.channels = shape.channels;
    s.height = shape.height;
    s.width = shape.width;
    s.image_size = shape.height * vae.stride();
    s.versions = 2;
    s.dtype = options_.dtype;
    s.scale = vae.scale();
    s.shift = vae.shift();
    s.rows_per_shard = options_.rows_per_shard;
  }

  [[noreturn]] void refuse() const {
    throw Error(options_.output.string(),
                "holds latents of another autoencoder, data set, size or number type",
                "choose another folder, or remove this one");
  }

  /// Whether the cache is whole. Throws Error if the folder holds another one.
  bool is_done() {
    std::error_code none;
    if (!fs::exists(options_.output / data::kLatentIndex, none)) return false;
    auto index = data::read_latent_index(options_.output);
    if (!index) throw Error(index.fault());
    if (index->settings != index_.settings) refuse();
    index_ = *std::move(index);
    found_ = index_.count();
    return true;
  }

  /// Takes over a shard that an earlier run wrote. Throws Error if it is of another cache.
  bool take_found(int64_t number) {
    const std::string name = data::latent_shard_name(number);
    const fs::path path = options_.output / name;
    std::error_code none;
    if (!fs::exists(path, none)) return false;
    const auto file = checkpoint::SafetensorsFile::open(path);
    if (!file) {
      log::notice(fmt::format("{}: damaged, made again", path.string()));
      return false;
    }
    const auto settings = file->metadata().find(kSettingsKey);
    if (settings == file->metadata().end() ||
        settings->second != data::to_json(index_.settings).dump())
      refuse();
    const auto* labels = file->find("labels");
    const auto sum = checkpoint::sums_of({path}).front();
    if (labels == nullptr || labels->shape.size() != 1 || !sum) return false;
    const auto skipped = file->metadata().find(kSkippedKey);
    index_.shards.push_back({name, labels->shape.front(), *sum});
    if (skipped != file->metadata().end())
      index_.skipped += std::strtoll(skipped->second.c_str(), nullptr, 10);
    found_ += labels->shape.front();
    options_.progress(index_.count(), dataset_->rows_per_epoch());
    return true;
  }

  /// The pixels of a row; nullopt: it is skipped. Throws Error.
  std::optional<Pixels> pixels_of(int64_t row) const {
    const auto record = dataset_->read(dataset_->place(0, row));
    auto sample = record ? processor_->process(*record) : Result<data::Sample>(record.fault());
    if (!sample) {
      if (skips_) return std::nullopt;
      Fault fault = sample.fault();
      if (fault.fix.empty()) fault.fix = "set dataset_config.on_bad_sample: skip";
      throw Error(fault);
    }
    Pixels out;
    const auto mean = sample->extras.find(data::kMean);
    out.values = mean != sample->extras.end() ? std::move(mean->second)
                                              : std::move(sample->media[data::kPixels].values);
    const auto label = sample->extras.find(data::kClass);
    out.label = label != sample->extras.end() ? static_cast<int64_t>(label->second.front()) : 0;
    return out;
  }

  /// What the autoencoder makes of images, in the cache's number type.
  Latents encode(std::vector<Pixels>& images) const {
    const LatentSettings& s = index_.settings;
    std::vector<at::Tensor> rows;
    for (Pixels& image : images) {
      rows.push_back(at::from_blob(image.values.data(), {s.versions, 3, s.image_size, s.image_size},
                                   at::kFloat));
    }
    const at::NoGradGuard without_gradients;
    const models::Posterior posterior = autoencoder_->encode(at::cat(rows).to(device_), {});
    const auto n = static_cast<int64_t>(images.size());
    const auto stored = [&](const at::Tensor& values) {
      return values.view({n, s.versions, s.channels, s.height, s.width})
          .to(at::kCPU, scalar_type(s.dtype))
          .contiguous();
    };
    return {stored(posterior.mean), stored(posterior.deviation)};
  }

  /// false: stopped before its end, and nothing of it is kept.
  bool make(int64_t number, ThreadPool& pool) {
    const int64_t rows = dataset_->rows_per_epoch();
    const int64_t first = number * options_.rows_per_shard;
    const int64_t count = std::min(options_.rows_per_shard, rows - first);
    const auto ahead = static_cast<int64_t>(pool.size()) + options_.batch;
    InOrder decoded(pool, count, ahead, [&](int64_t i) { return pixels_of(first + i); });
    std::vector<Latents> parts;
    std::vector<int64_t> labels;
    std::vector<Pixels> batch;
    const auto flush = [&] {
      if (!batch.empty()) parts.push_back(encode(batch));
      batch.clear();
      options_.progress(index_.count() + static_cast<int64_t>(labels.size()), rows);
    };
    int64_t skipped = 0;
    while (auto image = decoded.next()) {
      if (!*image) {
        ++skipped;
        continue;
      }
      labels.push_back((*image)->label);
      batch.push_back(**std::move(image));
      if (static_cast<int64_t>(batch.size()) < options_.batch) continue;
      flush();
      if (options_.stop()) return false;
    }
    flush();
    write(number, parts, labels, skipped);
    return true;
  }

  void write(int64_t number, const std::vector<Latents>& parts, const std::vector<int64_t>& labels,
             int64_t skipped) {
    const LatentSettings& s = index_.settings;
    const auto n = static_cast<int64_t>(labels.size());
    const checkpoint::Shape shape = {n, s.versions, s.channels, s.height, s.width};
    const auto tensor = [&](const char* name, at::Tensor Latents::*member) {
      return checkpoint::TensorSource{
          name, s.dtype, shape, [&parts, member](const checkpoint::ByteSink& sink) {
            for (const Latents& part : parts) {
              const at::Tensor& values = part.*member;
              sink({static_cast<const std::byte*>(values.const_data_ptr()), values.nbytes()});
            }
          }};
    };
    const std::string name = data::latent_shard_name(number);
    const fs::path path = options_.output / name, temporary = path.string() + ".tmp";
    const checkpoint::FileSum sum = checkpoint::write_safetensors(
        temporary,
        {tensor("mean", &Latents::mean), tensor("deviation", &Latents::deviation),
         checkpoint::source_of("labels", checkpoint::DType::i64, {n},
                               std::as_bytes(std::span(labels)))},
        {{"format", "pt"},
         {kSettingsKey, data::to_json(s).dump()},
         {kSkippedKey, std::to_string(skipped)}});
    fs::rename(temporary, path);
    sync_directory(options_.output);
    index_.shards.push_back({name, n, sum});
    index_.skipped += skipped;
  }

  CacheSummary summary(bool finished) const {
    CacheSummary out{
        .images = index_.count(), .skipped = index_.skipped, .found = found_, .finished = finished};
    for (const LatentShard& shard : index_.shards) out.bytes += int64_t(shard.sum.bytes);
    return out;
  }

  const CacheOptions& options_;
  ModelSource source_;
  c10::Device device_{at::kCPU};
  models::OpenAutoencoder autoencoder_;
  std::shared_ptr<const data::Processor> processor_;
  std::shared_ptr<const data::Dataset> dataset_;
  bool skips_ = false;
  LatentIndex index_;
  int64_t found_ = 0;
};

}  // namespace

CacheSummary cache_latents(const LoadedConfig& loaded, const Place& place,
                           const CacheOptions& options) {
  return Cacher(loaded, place, options).run();
}

}  // namespace lmms::train
