#include "data/class_image_processor.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>

#include "checkpoint/safetensors.h"
#include "data/data_testing.h"
#include "data/draws.h"
#include "data/formats.h"
#include "data/latent_cache.h"
#include "data/latents.h"
#include "media/centre_crop.h"

namespace lmms::data {
namespace {

namespace fs = std::filesystem;

/// A bitmap of one colour, the smallest image file there is.
std::string bitmap(int width, int height, uint8_t red) {
  const auto put = [](std::string& to, uint32_t value, int bytes) {
    for (int i = 0; i < bytes; ++i) to += static_cast<char>(value >> (8 * i) & 255);
  };
  const uint32_t stride = (static_cast<uint32_t>(width) * 3 + 3) / 4 * 4;
  std::string out = "BM";
  put(out, 54 + stride * static_cast<uint32_t>(height), 4);
  put(out, 0, 4);
  put(out, 54, 4);
  put(out, 40, 4);
  put(out, static_cast<uint32_t>(width), 4);
  put(out, static_cast<uint32_t>(height), 4);
  put(out, 1, 2);
  put(out, 24, 2);
  out.resize(54);
  for (int y = 0; y < height; ++y) {
    for (int x = 0; x < width; ++x) out += {0, static_cast<char>(x * 20), static_cast<char>(red)};
    out.resize(54 + stride * static_cast<size_t>(y + 1));
  }
  return out;
}

Record record_of(const Json& fields) {
  static const auto file = std::make_shared<const std::string>("rows.jsonl");
  return {.origin = {file, 7}, .fields = fields, .data_folder = nullptr};
}

Json image_bytes(const std::string& bytes) {
  return {{"bytes", Json::binary({bytes.begin(), bytes.end()})}, {"path", nullptr}};
}

ClassImageOptions pixels_of(int64_t size, int64_t channels = 3) {
  return {.channels = channels, .height = size, .width = size, .patch = 2, .classes = 10};
}

TEST(CentreCrop, is_within_a_level_of_pillows) {
  const auto file = checkpoint::SafetensorsFile::open(fs::path(LMMS_SOURCE_DIR) /
                                                      "tests/parity/data/centre_crop.safetensors")
                        .take();
  int cases = 0;
  for (; file.find("image." + std::to_string(cases)) != nullptr; ++cases) {
    const std::string number = std::to_string(cases);
    const auto* in = file.find("image." + number);
    const auto* out = file.find("crop." + number);
    media::Image image(static_cast<int>(in->shape[1]), static_cast<int>(in->shape[0]));
    std::copy_n(reinterpret_cast<const uint8_t*>(in->bytes.data()), in->bytes.size(),
                image.pixels().begin());
    const media::Image crop =
        media::centre_crop(std::move(image), static_cast<int>(out->shape.front()));
    ASSERT_EQ(crop.pixels().size(), out->bytes.size());
    size_t different = 0;
    for (size_t i = 0; i < out->bytes.size(); ++i) {
      const int off = std::abs(int(crop.pixels()[i]) - int(out->bytes[i]));
      EXPECT_LE(off, 1) << number;
      different += off != 0;
    }
    // Pillow takes the height first where an image is tall, which rounds otherwise
    const bool tall = in->shape[0] >= 2 * in->shape[1];
    EXPECT_LT(different, out->bytes.size() / (tall ? 6 : 50)) << number;
    const auto grey = pixel_planes(crop, 1);
    const auto* luminance = file.find("grey." + number);
    for (size_t i = 0; i < grey.size(); ++i)
      EXPECT_NEAR(grey[i], int(luminance->bytes[i]) / 127.5 - 1, 1.01 / 127.5);
  }
  EXPECT_EQ(cases, 5);
}

TEST(Latents, tokens_are_patches_row_by_row_and_come_back) {
  std::vector<float> planes(2 * 4 * 6);
  for (size_t i = 0; i < planes.size(); ++i) planes[i] = static_cast<float>(i);
  const auto tokens = to_tokens(planes, 2, 4, 6, 2);
  // the second patch of the first row: channel 0 from (0, 2), then channel 1
  const std::vector<float> second(tokens.begin() + 8, tokens.begin() + 16);
  EXPECT_EQ(second, (std::vector<float>{2, 3, 8, 9, 26, 27, 32, 33}));
  EXPECT_EQ(to_planes(tokens, 2, 4, 6, 2), planes);
  EXPECT_EQ(mirrored({planes.data(), 6}, 3), (std::vector<float>{2, 1, 0, 5, 4, 3}));
}

TEST(ClassImages, a_sample_is_a_full_segment_of_patches_in_minus_one_to_one) {
  ClassImageOptions options = pixels_of(4);
  options.flip = false;
  const ClassImageProcessor processor(options);
  const Record record = record_of({{"image", image_bytes(bitmap(8, 8, 255))}, {"label", 3}});
  const auto sample = processor.process(record).take();
  EXPECT_EQ(sample.length(), 4);
  ASSERT_EQ(sample.segments.size(), 1);
  EXPECT_EQ(sample.segments[0].mode, AttentionMode::full);
  EXPECT_EQ(sample.extras.at(kClass), std::vector<float>{3});
  const MediaPart& part = sample.media.of(kLatents);
  EXPECT_EQ(part.grids, (std::vector<PatchGrid>{{1, 2, 2}}));
  ASSERT_EQ(part.values.size(), 4 * 12);
  EXPECT_EQ(part.values[0], 1.0f);   // red
  EXPECT_EQ(part.values[8], -1.0f);  // blue
  const auto measured = processor.measure(record).take();
  EXPECT_EQ(measured.length, 4);
  EXPECT_FALSE(measured.decoded);
  EXPECT_TRUE(measured.sample->media.of(kLatents).values.empty());
}

TEST(ClassImages, flips_are_drawn_by_the_sample_and_mirror_it) {
  const ClassImageProcessor processor(pixels_of(4));
  const auto made =
      processor.process(record_of({{"image", image_bytes(bitmap(8, 8, 9))}, {"label", "2"}}))
          .take();
  std::vector<std::vector<float>> seen;
  int first = 0;
  for (int64_t ordinal = 0; ordinal < 200; ++ordinal) {
    Sample sample = made;
    take_choice(sample, DrawKey(42, ordinal));
    EXPECT_EQ(sample.extras.size(), 1);  // the class
    const auto& values = sample.media.of(kLatents).values;
    if (std::find(seen.begin(), seen.end(), values) == seen.end()) seen.push_back(values);
    first += values == seen.front();
  }
  ASSERT_EQ(seen.size(), 2);
  EXPECT_EQ(mirrored(to_planes(seen[0], 3, 4, 4, 2), 4), to_planes(seen[1], 3, 4, 4, 2));
  EXPECT_NEAR(first, 100, 40);
}

TEST(ClassImages, what_is_wrong_with_a_record_is_said_with_its_row) {
  ClassImageOptions options = pixels_of(4);
  options.class_names = {{"cat", 5}};
  const ClassImageProcessor processor(options);
  const auto fault = [&](const Json& fields) {
    const auto measured = processor.measure(record_of(fields));
    return measured ? std::string("none") : measured.fault().text();
  };
  const Json image = image_bytes(bitmap(4, 4, 0));
  EXPECT_EQ(fault({{"image", image}, {"label", "cat"}}), "none");
  EXPECT_NE(fault({{"image", image}, {"label", 10}}).find("rows.jsonl:7: label: class 10 of a"),
            std::string::npos);
  EXPECT_NE(fault({{"image", image}, {"label", -1}}).find("class -1"), std::string::npos);
  EXPECT_NE(fault({{"image", image}, {"label", "dog"}}).find("id2label"), std::string::npos);
  EXPECT_NE(fault({{"image", image}}).find("label_column"), std::string::npos);
  EXPECT_NE(fault({{"label", 1}, {"img", image}}).find("image_column"), std::string::npos);
  EXPECT_NE(fault({{"image", image_bytes("no image")}, {"label", 1}}), "none");
  EXPECT_NE(fault({{"image", "/none/here.jpg"}, {"label", 1}}).find("/none/here.jpg"),
            std::string::npos);
}

TEST(ImageFolder, classes_are_numbered_in_the_order_of_their_names) {
  TempFolder folder;
  for (const char* name : {"b/2.bmp", "b/10.bmp", "a/x/z.bmp", "a/y.BMP", "C/1.bmp"}) {
    fs::create_directories(fs::path(folder.path(name)).parent_path());
    folder.write(name, bitmap(4, 4, 1));
  }
  folder.write("b/notes.txt", "not an image");
  EXPECT_EQ(infer_format(folder.path("")), Format::image_folder);
  const auto source = open_source(folder.path(""), Format::image_folder).take();
  std::vector<std::string> rows;
  for (int64_t row = 0; row < source->size(); ++row) {
    const Record record = source->read(row).take();
    rows.push_back(fs::path(record.fields["image"].get<std::string>()).filename().string() +
                   record.fields["label"].dump());
  }
  EXPECT_EQ(rows, (std::vector<std::string>{"1.bmp0", "z.bmp1", "y.BMP1", "10.bmp2", "2.bmp2"}));
  fs::create_directories(folder.path("empty"));
  EXPECT_NE(open_image_folder(folder.path("")).fault().what.find("without images"),
            std::string::npos);
}

TEST(ImageFolder, a_folder_of_splits_is_no_folder_of_classes) {
  TempFolder folder;
  fs::create_directories(folder.path("train/cat"));
  fs::create_directories(folder.path("val/cat"));
  const auto opened = open_image_folder(folder.path(""));
  ASSERT_FALSE(opened);
  EXPECT_NE(opened.fault().fix.find("train"), std::string::npos);
}

/// A cache of five latents [2, 1, 2, 2], whose numbers count up.
LatentIndex write_cache(const TempFolder& folder) {
  LatentIndex index;
  index.settings = {.autoencoder = "a",
                    .data = "d",
                    .channels = 1,
                    .height = 2,
                    .width = 2,
                    .versions = 2,
                    .image_size = 4,
                    .scale = 0.5,
                    .shift = 1.0,
                    .rows_per_shard = 3};
  index.classes = 10;
  for (int64_t shard = 0, first = 0; shard < 2; first += 3, ++shard) {
    const int64_t n = shard == 0 ? 3 : 2;
    std::vector<float> mean, deviation(static_cast<size_t>(8 * n), 0.25f);
    std::vector<int64_t> labels;
    for (int64_t i = 0; i < 8 * n; ++i) mean.push_back(static_cast<float>(8 * first + i));
    for (int64_t i = 0; i < n; ++i) labels.push_back(first + i);
    const checkpoint::Shape shape = {n, 2, 1, 2, 2};
    using checkpoint::DType;
    const std::string name = latent_shard_name(shard);
    const auto sum = checkpoint::write_safetensors(
        folder.path(name),
        {source_of("mean", DType::f32, shape, std::as_bytes(std::span(mean))),
         source_of("deviation", DType::f32, shape, std::as_bytes(std::span(deviation))),
         source_of("labels", DType::i64, {n}, std::as_bytes(std::span(labels)))});
    index.shards.push_back({name, n, sum});
  }
  folder.write(kLatentIndex, to_json(index).dump());
  return index;
}

TEST(LatentCache, a_record_becomes_the_scaled_posterior_of_both_flips) {
  TempFolder folder;
  const LatentIndex index = write_cache(folder);
  EXPECT_EQ(read_latent_index(folder.path("")).take(), index);
  EXPECT_EQ(infer_format(folder.path("")), Format::latents);
  const auto source = open_source(folder.path(""), Format::latents).take();
  ASSERT_EQ(source->size(), 5);
  ClassImageOptions options{.channels = 1, .height = 2, .width = 2, .patch = 1, .classes = 10};
  options.stride = 2;
  const auto sample = ClassImageProcessor(options).process(source->read(4).take()).take();
  EXPECT_EQ(sample.extras.at(kClass), std::vector<float>{4});
  const auto& mean = sample.extras.at(kMean);
  ASSERT_EQ(mean.size(), 8);
  for (size_t i = 0; i < 8; ++i) EXPECT_EQ(mean[i], 0.5f * (32 + static_cast<float>(i) - 1));
  EXPECT_EQ(sample.extras.at(kDeviation), std::vector<float>(8, 0.125f));
  // the drawn value is the mean and a normal number of this deviation
  double sum = 0, squares = 0;
  for (int64_t ordinal = 0; ordinal < 500; ++ordinal) {
    Sample drawn = sample;
    take_choice(drawn, DrawKey(1, ordinal), /*flip=*/false);
    for (size_t i = 0; i < 4; ++i) {
      const double off = (drawn.media.of(kLatents).values[i] - mean[i]) / 0.125;
      sum += off;
      squares += off * off;
    }
  }
  EXPECT_NEAR(sum / 2000, 0, 0.1);
  EXPECT_NEAR(squares / 2000, 1, 0.15);
}

TEST(LatentCache, another_shape_is_a_fault_of_the_record) {
  TempFolder folder;
  write_cache(folder);
  const auto source = open_source(folder.path(""), Format::latents).take();
  ClassImageOptions options{.channels = 1, .height = 4, .width = 4, .patch = 1, .classes = 10};
  options.stride = 2;
  const auto made = ClassImageProcessor(options).process(source->read(0).take());
  ASSERT_FALSE(made);
  EXPECT_NE(made.fault().what.find("the model takes 1 x 4 x 4"), std::string::npos);
}

TEST(LatentCache, whatever_is_cut_off_is_named) {
  TempFolder folder;
  write_cache(folder);
  const std::string shard = folder.path(latent_shard_name(1));
  const std::string whole = file_text(shard), index = file_text(folder.path(kLatentIndex));
  for (const size_t bytes : {size_t{0}, size_t{4}, whole.size() / 2, whole.size() - 1}) {
    folder.write(latent_shard_name(1), whole.substr(0, bytes));
    const auto opened = open_latents(folder.path(""));
    ASSERT_FALSE(opened) << bytes;
    EXPECT_EQ(opened.fault().where, shard);
  }
  fs::remove(shard);
  EXPECT_NE(open_latents(folder.path("")).fault().what.find("not there"), std::string::npos);
  folder.write(latent_shard_name(1), whole);
  ASSERT_TRUE(open_latents(folder.path("")));
  for (size_t bytes = 0; bytes < index.size(); bytes += 7) {
    folder.write(kLatentIndex, index.substr(0, bytes));
    EXPECT_FALSE(open_latents(folder.path(""))) << bytes;
  }
}

TEST(LatentCache, no_index_can_bring_it_down) {
  TempFolder folder;
  write_cache(folder);
  const std::string index = file_text(folder.path(kLatentIndex));
  const nlohmann::json values[] = {nullptr,          -1, 1e300, "x", nlohmann::json::array(), true,
                                   uint64_t{1} << 63};
  const auto whole = nlohmann::json::parse(index);
  const nlohmann::json leaves = whole.flatten();
  for (const auto& [path, leaf] : leaves.items()) {
    for (const nlohmann::json& value : values) {
      nlohmann::json changed = whole;
      changed[nlohmann::json::json_pointer(path)] = value;
      folder.write(kLatentIndex, changed.dump());
      const auto opened = open_latents(folder.path(""));
      if (opened && (*opened)->size() > 0) (void)(*opened)->read((*opened)->size() - 1);
    }
  }
}

}  // namespace
}  // namespace lmms::data
