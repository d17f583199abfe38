#include "train/metric_sink.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "checkpoint/scratch_folder.h"

namespace lmms::train {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

std::vector<std::string>& rows_seen() {
  static thread_local std::vector<std::string> rows;
  return rows;
}

// What a plugin might bring.
class Listing final : public MetricSink {
 public:
  explicit Listing(int64_t first) { rows_seen() = {"from " + std::to_string(first)}; }
  void write(const nlohmann::ordered_json& row) override { rows_seen().push_back(row.dump()); }
  void flush() override { rows_seen().push_back("flush"); }
};

MetricSinkRegistry registry_with_listing() {
  MetricSinkRegistry registry("metric sink");
  register_metric_sinks(registry);
  registry.add("listing", "a list",
               {.make = [](const MetricSinkSetup& setup) -> std::unique_ptr<MetricSink> {
                 return std::make_unique<Listing>(setup.first_step);
               }},
               "/opt/listing.so");
  return registry;
}

TEST(MetricSinks, hand_rows_to_the_sinks_that_are_asked_for) {
  const MetricSinkRegistry registry = registry_with_listing();
  MetricSinks sinks(registry, {"listing", "swanlab"}, {.output_dir = "out", .first_step = 3});
  EXPECT_THAT(sinks.pointers(), IsEmpty());
  sinks.open();
  sinks.write({{"step", 3}, {"loss", 0.5}});
  sinks.flush();
  sinks.close();
  sinks.write({{"step", 4}});
  EXPECT_THAT(rows_seen(), ElementsAre("from 3", R"({"step":3,"loss":0.5})", "flush"));
}

TEST(MetricSinks, whose_files_another_one_writes_bring_that_one) {
  const MetricSinkRegistry registry = registry_with_listing();
  const checkpoint::ScratchFolder folder;
  const MetricSinkSetup setup{.output_dir = folder.path(), .run_name = "r", .first_step = 1};
  const auto files = [&] {
    size_t count = 0;
    for (const auto& file : std::filesystem::recursive_directory_iterator(folder.path()))
      count += file.is_regular_file();
    return count;
  };
  MetricSinks none(registry, {"none"}, setup);
  none.open();
  EXPECT_EQ(files(), 0u);
  MetricSinks wandb(registry, {"wandb"}, setup);
  wandb.open();
  wandb.write({{"step", 1}, {"loss", 0.5}});
  wandb.close();
  EXPECT_EQ(files(), 1u);
  EXPECT_THAT(wandb.pointers(), ElementsAre(HasSubstr("events: tensorboard --logdir "),
                                            HasSubstr("wandb sync --sync-tensorboard ")));
  MetricSinks both(registry, {"wandb", "tensorboard"}, setup);
  both.open();
  EXPECT_EQ(files(), 2u);
  EXPECT_THAT(both.pointers(), ElementsAre(HasSubstr("events"), HasSubstr("W&B")));
  MetricSinks all(registry, {"all"}, setup);
  all.open();
  EXPECT_THAT(rows_seen(), ElementsAre("from 1"));
}

TEST(MetricSinks, say_how_to_follow_a_run_that_asks_for_a_service) {
  const MetricSinkRegistry registry = registry_with_listing();
  const auto line = [&](const std::vector<std::string>& names) {
    return MetricSinks(registry, names, {.output_dir = "out dir"}).instead_of_services();
  };
  EXPECT_EQ(line({"wandb"}),
            "report_to: wandb: no connection is opened; follow live with out dir/report.html, or "
            "tensorboard --logdir 'out dir'");
  EXPECT_EQ(line({"mlflow", "swanlab"}),
            "report_to: mlflow, swanlab: no connection is opened; follow live with out "
            "dir/report.html");
  EXPECT_THAT(line({"all"}), HasSubstr("report_to: all: no connection is opened; "));
  for (const std::vector<std::string>& local :
       std::vector<std::vector<std::string>>{{}, {"none"}, {"tensorboard"}, {"listing"}})
    EXPECT_EQ(line(local), "");
}

}  // namespace
}  // namespace lmms::train
