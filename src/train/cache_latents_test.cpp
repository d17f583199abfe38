#include "train/cache_latents.h"

#include <ATen/core/Tensor.h>
#include <ATen/ops/from_blob.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <fstream>

#include "core/format.h"
#include "data/class_image_processor.h"
#include "data/data_testing.h"
#include "data/latent_cache.h"
#include "data/latents.h"
#include "data/source.h"
#include "models/autoencoder_kl/autoencoder_kl.h"
#include "train/data_setup.h"

namespace lmms::train {
namespace {

namespace fs = std::filesystem;
using data::TempFolder;
using testing::HasSubstr;

const fs::path kVae = fs::path(LMMS_SOURCE_DIR) / "tests/parity/data/autoencoder_kl/tiny";

constexpr const char* kConfig = R"(trainer_type: sit_trainer
dataset_config:
  dataset_type: sit
  dataset_format: jsonl
  dataset_path: {0}/images.jsonl
  processor_config: {{processor_type: sit}}
model_config:
  load_from_config:
    model_type: sit
    config: {{input_size: 8, in_channels: 4, patch_size: 2, hidden_size: 32, depth: 1, num_heads: 2, num_classes: 10, vae_path: {1}}}
trainer_args: {{output_dir: {0}/out, max_steps: 1, use_cpu: true}}
)";

/// Four images of the tests, 14 rows.
class CachedLatents : public testing::Test {
 protected:
  CachedLatents() {
    const std::vector<std::string> images = {"bmp_24", "bmp_8", "bmp_4", "bmp_32"};
    const fs::path stored = fs::path(LMMS_SOURCE_DIR) / "tests/parity/data/images";
    std::string rows;
    for (int row = 0; row < kRows; ++row) {
      const std::string& name = images[static_cast<size_t>(row) % images.size()];
      rows += fmt::format("{{\"image\": \"{}\", \"label\": {}}}\n",
                          (stored / (name + ".bmp")).string(), row % 10);
    }
    folder_.write("images.jsonl", rows);
    folder_.write("config.yaml",
                  fmt::format(fmt::runtime(kConfig), folder_.path("."), kVae.string()));
  }

  LoadedConfig load(std::vector<std::string> words = {}) const {
    words.insert(words.begin(), folder_.path("config.yaml"));
    return load_train_config(words);
  }
  CacheOptions options(const std::string& name) const {
    CacheOptions out;
    out.output = folder_.path(name);
    out.batch = 3;
    out.rows_per_shard = 5;
    out.use_cpu = true;
    return out;
  }
  std::string bytes(const std::string& name) const {
    std::string all;
    for (int shard = 0; shard < 3; ++shard)
      all += data::file_text(folder_.path(name + "/" + data::latent_shard_name(shard)));
    return all + data::file_text(folder_.path(name + "/index.json"));
  }

  static constexpr int kRows = 14;
  TempFolder folder_;
};

TEST_F(CachedLatents, are_what_the_autoencoder_makes_of_both_flips) {
  const LoadedConfig loaded = load();
  const CacheSummary made = cache_latents(loaded, {}, options("cache"));
  EXPECT_TRUE(made.finished);
  EXPECT_EQ(made.images, kRows);
  const auto cache = data::open_source(folder_.path("cache"), data::Format::latents).take();
  const auto images = data::open_source(folder_.path("images.jsonl"), data::Format::jsonl).take();
  ASSERT_EQ(cache->size(), kRows);
  const auto processor = open_processor(loaded, {}, {}).processor;
  const models::OpenAutoencoder vae = models::open_autoencoder(kVae, at::kCPU);
  for (int64_t row = 0; row < kRows; row += 4) {
    data::Sample stored = processor->process(cache->read(row).take()).take();
    data::Sample image = processor->process(images->read(row).take()).take();
    EXPECT_EQ(stored.extras.at(data::kClass), image.extras.at(data::kClass));
    EXPECT_EQ(stored.length(), image.length());
    std::vector<float>& pixels = image.extras.at(data::kMean);
    const int64_t side = 8 * vae->stride();
    const models::Posterior posterior =
        vae->encode(at::from_blob(pixels.data(), {2, 3, side, side}, at::kFloat), {});
    const int64_t V = 4 * 8 * 8;
    for (int64_t flip = 0; flip < 2; ++flip) {
      const at::Tensor mean = posterior.mean.select(0, flip).contiguous();
      const std::vector<float> tokens =
          data::to_tokens({mean.const_data_ptr<float>(), static_cast<size_t>(V)}, 4, 8, 8, 2);
      for (int64_t i = 0; i < V; ++i) {
        const float scaled =
            static_cast<float>(vae->scale() * (double(tokens[size_t(i)]) - vae->shift()));
        EXPECT_NEAR(stored.extras.at(data::kMean)[size_t(flip * V + i)], scaled,
                    1e-5 * (1 + std::abs(scaled)));
      }
    }
  }
}

TEST_F(CachedLatents, do_not_depend_on_threads) {
  const LoadedConfig loaded = load();
  for (const int threads : {1, 5}) {
    CacheOptions how = options(fmt::format("cache{}", threads));
    how.threads = threads;
    cache_latents(loaded, {}, how);
  }
  EXPECT_EQ(bytes("cache1"), bytes("cache5"));
}

TEST_F(CachedLatents, go_on_where_they_were_stopped_and_end_the_same) {
  const LoadedConfig loaded = load();
  cache_latents(loaded, {}, options("whole"));
  CacheOptions how = options("cut");
  int batches = 0;
  how.stop = [&] { return ++batches == 2; };
  const CacheSummary stopped = cache_latents(loaded, {}, how);
  EXPECT_FALSE(stopped.finished);
  EXPECT_EQ(stopped.images, 5);  // the first shard
  EXPECT_FALSE(data::open_source(how.output.string(), data::Format::latents));
  const CacheSummary ended = cache_latents(loaded, {}, options("cut"));
  EXPECT_TRUE(ended.finished);
  EXPECT_EQ(ended.found, 5);
  EXPECT_EQ(bytes("cut"), bytes("whole"));
  EXPECT_EQ(cache_latents(loaded, {}, options("cut")).found, kRows);  // nothing is left to do
}

TEST_F(CachedLatents, a_folder_of_other_settings_is_refused) {
  cache_latents(load(), {}, options("cache"));
  CacheOptions half = options("cache");
  half.dtype = checkpoint::DType::f16;
  EXPECT_THROW(cache_latents(load(), {}, half), Error);
  std::ofstream(folder_.path("images.jsonl"), std::ios::app)
      << data::file_text(folder_.path("images.jsonl"));
  EXPECT_THROW(cache_latents(load(), {}, options("cache")), Error);
}

TEST_F(CachedLatents, a_bad_record_ends_it_with_its_row_or_is_counted) {
  std::ofstream(folder_.path("images.jsonl"), std::ios::app)
      << "{\"image\": \"/none.png\", \"label\": 1}\n";
  try {
    cache_latents(load(), {}, options("cache"));
    FAIL();
  } catch (const Error& e) {
    EXPECT_THAT(e.what(), HasSubstr("images.jsonl:15"));
    EXPECT_THAT(e.what(), HasSubstr("on_bad_sample: skip"));
  }
  const CacheSummary made =
      cache_latents(load({"dataset_config.on_bad_sample=skip"}), {}, options("skipping"));
  EXPECT_EQ(made.skipped, 1);
  EXPECT_EQ(made.images, kRows);
}

}  // namespace
}  // namespace lmms::train
