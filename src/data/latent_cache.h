#pragma once
/// A cache of latents: what an autoencoder makes of every image of a data set, as it is and
/// mirrored. A folder of safetensors shards and an index:
///   index.json          what is below, as JSON; written last, so that a folder with it is whole
///   latents-00000.safetensors
///                       "mean", "deviation" [n, versions, C, h, w] of the posteriors, unscaled,
///                       and "labels" [n] i64
#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "checkpoint/checksums.h"
#include "checkpoint/dtype.h"
#include "core/error.h"

namespace lmms::data {

inline constexpr char kLatentIndex[] = "index.json";

/// Members of a record of a cache, beside "label".
inline constexpr char kLatentMean[] = "latent_mean";            ///< bytes [versions, C, h, w]
inline constexpr char kLatentDeviation[] = "latent_deviation";  ///< the same
inline constexpr char kLatentShape[] = "latent_shape";          ///< [versions, C, h, w]
inline constexpr char kLatentType[] = "latent_type";            ///< "F32", "F16" or "BF16"
inline constexpr char kLatentScale[] = "latent_scale";          ///< of the autoencoder
inline constexpr char kLatentShift[] = "latent_shift";

/// What decides the numbers of a cache; two caches with equal settings are interchangeable.
struct LatentSettings {
  std::string autoencoder;                      ///< fingerprint of its files
  std::string data;                             ///< fingerprint of the data set
  int64_t channels = 0, height = 0, width = 0;  ///< of a latent
  int64_t versions = 2;                         ///< 2: as it is, and mirrored
  int64_t image_size = 0;                       ///< pixels of a side
  checkpoint::DType dtype = checkpoint::DType::f32;
  double scale = 1.0, shift = 0.0;
  int64_t rows_per_shard = 0;  ///< of the data set; skipped ones count

  bool operator==(const LatentSettings&) const = default;
};

struct LatentShard {
  std::string file;
  int64_t count = 0;  ///< samples
  checkpoint::FileSum sum;

  bool operator==(const LatentShard&) const = default;
};

struct LatentIndex {
  LatentSettings settings;
  std::string autoencoder_path;  ///< as the config had it, for people
  int64_t classes = 0;           ///< labels are below
  int64_t skipped = 0;           ///< rows of the data set that could not be read
  std::vector<LatentShard> shards;

  int64_t count() const;
  bool operator==(const LatentIndex&) const = default;
};

/// "latents-00012.safetensors".
std::string latent_shard_name(int64_t shard);
nlohmann::json to_json(const LatentSettings& settings);
nlohmann::json to_json(const LatentIndex& index);
/// Reads index.json of a cache. Faults: none there, one of another kind or version, values that
/// cannot be.
Result<LatentIndex> read_latent_index(const std::filesystem::path& folder);

/// The elements of bytes as fp32; `dtype`: F32, F16 or BF16.
std::vector<float> floats_of(const uint8_t* bytes, size_t count, checkpoint::DType dtype);
bool is_latent_type(checkpoint::DType dtype);

}  // namespace lmms::data
