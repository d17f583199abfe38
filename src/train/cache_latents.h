#pragma once
/// A config's images as latents on disk (data/latent_cache.h): what its autoencoder makes of each,
/// as it is and mirrored.
#include <cstdint>
#include <filesystem>
#include <functional>

#include "checkpoint/dtype.h"
#include "train/config.h"
#include "train/place.h"

namespace lmms::train {

struct CacheOptions {
  std::filesystem::path output;
  checkpoint::DType dtype = checkpoint::DType::f32;
  int64_t batch = 16;             ///< images that are encoded together
  int threads = 0;                ///< that decode; 0: by the machine
  int64_t rows_per_shard = 4096;  ///< what a kill loses at most
  bool evaluation = false;        ///< eval_dataset_path in place of the training data
  bool use_cpu = false;
  /// Asked after every batch: true ends it early. `progress`: images that are done, of all.
  std::function<bool()> stop = [] { return false; };
  std::function<void(int64_t done, int64_t all)> progress = [](int64_t, int64_t) {};
};

struct CacheSummary {
  int64_t images = 0, skipped = 0;
  int64_t found = 0;  ///< of them, were there from a run before
  int64_t bytes = 0;
  bool finished = false;  ///< false: stopped; the next run goes on behind its last shard
};

/// Writes the cache, or goes on with one that was begun with the same settings. Threads change
/// nothing but the time. Throws Error: a model without an autoencoder, a folder that holds another
/// cache, a record that cannot be read (unless the config skips those).
CacheSummary cache_latents(const LoadedConfig& loaded, const Place& place,
                           const CacheOptions& options);

}  // namespace lmms::train
