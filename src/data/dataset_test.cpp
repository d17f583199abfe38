#include "data/dataset.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <set>

#include "data/data_testing.h"
#include "data/mixture.h"

namespace lmms::data {
namespace {

SourceConfig source(const std::string& path, double weight = 1.0) {
  SourceConfig config;
  config.path = path;
  config.weight = weight;
  return config;
}

std::string rows(int count) {
  std::string text;
  for (int i = 0; i < count; ++i) text += fmt::format("{{\"n\": {}}}\n", i);
  return text;
}

/// How often an epoch takes each (source, row).
std::map<std::pair<int, int64_t>, int> counts(const Dataset& data, int64_t epoch) {
  std::map<std::pair<int, int64_t>, int> result;
  for (int64_t p = 0; p < data.rows_per_epoch(); ++p) {
    const auto place = data.place(epoch, p);
    ++result[{place.source, place.row}];
  }
  return result;
}

std::vector<int64_t> order(const Dataset& data, int64_t epoch) {
  std::vector<int64_t> result;
  for (int64_t p = 0; p < data.rows_per_epoch(); ++p) {
    const auto place = data.place(epoch, p);
    result.push_back(place.source * 1000 + place.row);
  }
  return result;
}

class MixtureOfTwo : public testing::Test {
 protected:
  std::shared_ptr<Dataset> open(double weight_a, double weight_b, bool shuffle = true,
                                uint64_t seed = 42) {
    DatasetOptions options;
    options.sources = {source(folder_.write("a.jsonl", rows(10)), weight_a),
                       source(folder_.write("b.jsonl", rows(4)), weight_b)};
    options.shuffle = shuffle;
    options.seed = seed;
    return Dataset::open(options).take();
  }
  TempFolder folder_;
};

TEST_F(MixtureOfTwo, an_epoch_is_a_permutation_of_all_rows_and_each_epoch_another) {
  const auto data = open(1, 1);
  EXPECT_EQ(data->rows_per_epoch(), 14);
  std::set<std::vector<int64_t>> orders;
  for (int64_t epoch = 0; epoch < 20; ++epoch) {
    const auto seen = counts(*data, epoch);
    EXPECT_EQ(seen.size(), 14u);
    for (const auto& [place, count] : seen) EXPECT_EQ(count, 1);
    orders.insert(order(*data, epoch));
  }
  EXPECT_EQ(orders.size(), 20u);
  EXPECT_EQ(order(*open(1, 1), 3), order(*data, 3));
  EXPECT_NE(order(*open(1, 1, true, 43), 3), order(*data, 3));
}

TEST_F(MixtureOfTwo, keeps_the_order_of_files_without_shuffle) {
  const auto data = open(1, 1, false);
  EXPECT_THAT(order(*data, 1),
              testing::ElementsAre(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 1000, 1001, 1002, 1003));
}

TEST_F(MixtureOfTwo, a_weight_of_two_shows_every_row_twice) {
  const auto data = open(1, 2);
  EXPECT_EQ(data->rows_per_epoch(), 18);
  for (const auto& [place, count] : counts(*data, 5)) EXPECT_EQ(count, place.first == 0 ? 1 : 2);
}

TEST_F(MixtureOfTwo, fractions_go_through_all_rows_over_the_epochs) {
  const auto data = open(0.5, 1.5);
  EXPECT_EQ(data->rows_per_epoch(), 5 + 6);
  for (int64_t pair = 0; pair < 5; ++pair) {
    std::map<std::pair<int, int64_t>, int> both;
    for (int64_t epoch : {2 * pair, 2 * pair + 1}) {
      for (const auto& [place, count] : counts(*data, epoch)) {
        both[place] += count;
        if (place.first == 0) {
          EXPECT_EQ(count, 1);
        } else {
          EXPECT_TRUE(count == 1 || count == 2);
        }
      }
    }
    EXPECT_EQ(both.size(), 14u);
    for (const auto& [place, count] : both) EXPECT_EQ(count, place.first == 0 ? 1 : 3);
  }
  // Which half comes first is drawn anew.
  std::set<std::set<int64_t>> halves;
  for (int64_t epoch = 0; epoch < 20; epoch += 2) {
    std::set<int64_t> half;
    for (const auto& [place, count] : counts(*data, epoch)) {
      if (place.first == 0) half.insert(place.second);
    }
    halves.insert(half);
  }
  EXPECT_GT(halves.size(), 5u);
}

TEST_F(MixtureOfTwo, fractions_without_shuffle_go_on_where_the_last_epoch_stopped) {
  const auto data = open(0.3, 0, false);
  EXPECT_THAT(order(*data, 0), testing::ElementsAre(0, 1, 2));
  EXPECT_THAT(order(*data, 3), testing::ElementsAre(9, 0, 1));
}

TEST_F(MixtureOfTwo, tells_the_rows_and_weights_of_its_sources) {
  const auto data = open(0.5, 2);
  ASSERT_EQ(data->sources().size(), 2u);
  EXPECT_EQ(data->sources()[0].rows, 10);
  EXPECT_EQ(data->sources()[0].samples_per_epoch, 5);
  EXPECT_EQ(data->sources()[1].samples_per_epoch, 8);
  EXPECT_EQ(data->sources()[1].format, "jsonl");
}

TEST_F(MixtureOfTwo, a_record_knows_the_data_folder_of_its_source) {
  DatasetOptions options;
  auto config = source(folder_.write("c.jsonl", rows(1)));
  config.data_folder = "/media";
  options.sources = {source(folder_.write("a.jsonl", rows(1))), config};
  options.shuffle = false;
  const auto data = Dataset::open(options).take();
  EXPECT_EQ(*data->read({0, 0}).take().data_folder, "");
  EXPECT_EQ(*data->read({1, 0}).take().data_folder, "/media");
}

TEST(Dataset, permutes_more_rows_than_32_bits_count) {
  std::vector<Dataset::Part> parts(2);
  const int64_t many = int64_t{5} << 33;
  for (auto& part : parts) {
    part.summary = {
        .path = "m", .format = "", .weight = 0.5, .rows = many, .samples_per_epoch = many / 2};
    part.source = std::make_unique<MadeSource>("m", many, [](int64_t row) {
      return Result<nlohmann::json>(nlohmann::json{{"n", row}});
    });
  }
  const Dataset data(std::move(parts), true, 1);
  EXPECT_EQ(data.rows_per_epoch(), many);
  std::set<std::pair<int, int64_t>> seen;
  for (int64_t p = 0; p < 1000; ++p) {
    const auto place = data.place(7, many - 1 - p);
    EXPECT_GE(place.row, 0);
    EXPECT_LT(place.row, many);
    EXPECT_EQ(data.read(place).take().fields["n"], place.row);
    seen.insert({place.source, place.row});
  }
  EXPECT_EQ(seen.size(), 1000u);
}

std::string open_fault(const std::vector<SourceConfig>& sources) {
  DatasetOptions options;
  options.sources = sources;
  auto data = Dataset::open(options);
  return data ? "opened" : data.fault().text();
}

TEST(Dataset, refuses_sources_that_contribute_nothing) {
  TempFolder folder;
  const auto a = folder.write("a.jsonl", rows(10));
  EXPECT_THAT(open_fault({source(a, 0.01)}), testing::HasSubstr("rounds to no sample"));
  EXPECT_THAT(open_fault({source(a, 0)}), testing::HasSubstr("no source contributes"));
  EXPECT_THAT(open_fault({source(a, -1)}), testing::HasSubstr("expected a number >= 0"));
  EXPECT_THAT(open_fault({source(a, 1e300)}), testing::HasSubstr("too many samples"));
  EXPECT_THAT(open_fault({source(folder.write("b.jsonl", "\n"))}), testing::HasSubstr("no row"));
  EXPECT_THAT(open_fault({}), testing::HasSubstr("no source contributes"));
}

TEST(Dataset, refuses_formats_that_it_cannot_tell) {
  TempFolder folder;
  auto config = source(folder.write("a.txt", "x"));
  EXPECT_THAT(open_fault({config}), testing::HasSubstr("set data_type"));
  config.data_type = "josnl";
  EXPECT_THAT(open_fault({config}), testing::HasSubstr("did you mean 'jsonl'?"));
}

TEST(Mixture, reads_a_list_of_sources) {
  TempFolder folder;
  const auto path = folder.write("mix.yaml",
                                 "datasets:\n"
                                 "  - path: /d/x.jsonl\n"
                                 "    data_folder: /d/images\n"
                                 "    data_type: jsonl\n"
                                 "  - {path: \"/d/*.parquet\", data_folder: null, weight: 0.5}\n");
  const auto sources = read_mixture(path).take();
  ASSERT_EQ(sources.size(), 2u);
  EXPECT_EQ(sources[0].data_folder, "/d/images");
  EXPECT_EQ(sources[0].data_type, "jsonl");
  EXPECT_EQ(sources[1].path, "/d/*.parquet");
  EXPECT_EQ(sources[1].weight, 0.5);
  EXPECT_EQ(sources[1].data_type, std::nullopt);
}

TEST(Mixture, names_file_line_and_key_of_every_fault) {
  TempFolder folder;
  const auto path = folder.write("mix.yaml",
                                 "datasets:\n"
                                 "  - path: a.jsonl\n"
                                 "    wieght: 2\n"
                                 "  - data_type: tfrecord\n");
  const auto text = read_mixture(path).fault().text();
  EXPECT_THAT(text, testing::HasSubstr(path + ":3:5"));
  EXPECT_THAT(text, testing::HasSubstr("did you mean 'weight'?"));
  EXPECT_THAT(text, testing::HasSubstr("tfrecord"));
  EXPECT_FALSE(read_mixture(folder.write("b.yaml", "datasets: []\n")));
  EXPECT_FALSE(read_mixture(folder.write("c.yaml", "")));
  EXPECT_FALSE(read_mixture(folder.write("d.yaml", "datasets: [{path: \n")));
  EXPECT_FALSE(read_mixture(folder.path("gone.yaml")));
}

TEST(Mixture, takes_the_sources_that_a_config_names) {
  TempFolder folder;
  DataConfig config;
  EXPECT_FALSE(sources_of(config));
  config.dataset_path = "x.bin";
  config.dataset_format = DatasetFormat::jsonl;
  EXPECT_EQ(sources_of(config).take()[0].data_type, "jsonl");
  EXPECT_EQ(sources_of(config, "eval.bin").take()[0].path, "eval.bin");
  config.datasets = {source("inline.json")};
  EXPECT_EQ(sources_of(config).take()[0].path, "inline.json");
  EXPECT_EQ(sources_of(config, "eval.bin").take()[0].path, "eval.bin");
}

TEST(Mixture, may_be_what_its_suffix_says_instead) {
  TempFolder folder;
  DataConfig config;
  config.dataset_format = DatasetFormat::yaml;
  config.datasets = {source("inline.jsonl")};
  const auto read = [&](const std::string& path) { return sources_of(config, path).take().at(0); };
  EXPECT_EQ(read("eval.jsonl").path, "eval.jsonl");
  EXPECT_EQ(read("eval/*.parquet").data_type, "parquet");
  EXPECT_EQ(read("eval.jsonl").data_folder, "");
  config.datasets[0].data_folder = "media";
  EXPECT_EQ(read("eval.jsonl").data_folder, "media");
  EXPECT_EQ(read(folder.write("rows.json", "\n [{}]")).data_type, "json");
  EXPECT_EQ(read(folder.write("mixture.json", R"({"datasets": [{"path": "a.csv"}]})")).path,
            "a.csv");
  EXPECT_EQ(read(folder.write("mixture.yaml", "datasets: [{path: b.csv}]")).path, "b.csv");
}

TEST(Mixture, finds_the_train_files_of_a_hub_folder) {
  TempFolder folder;
  DataConfig config;
  config.dataset_format = DatasetFormat::hf_dataset;
  config.dataset_path = folder.path("");
  EXPECT_THAT(sources_of(config).fault().text(), testing::HasSubstr("holds no parquet"));
  std::filesystem::create_directory(folder.path("data"));
  folder.write("data/test-00000-of-00001.parquet", "");
  folder.write("data/train-00001-of-00002.parquet", "");
  folder.write("data/train-00000-of-00002.parquet", "");
  const auto sources = sources_of(config).take();
  ASSERT_EQ(sources.size(), 2u);
  EXPECT_THAT(sources[0].path, testing::EndsWith("data/train-00000-of-00002.parquet"));
  config.dataset_path = "HuggingFaceFW/fineweb-edu";
  EXPECT_THAT(sources_of(config).fault().text(), testing::HasSubstr("nothing from the network"));
  config.dataset_path = fixture("saved");
  EXPECT_EQ(sources_of(config).take()[0].data_type, "arrow");
}

}  // namespace
}  // namespace lmms::data
