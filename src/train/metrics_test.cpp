#include "train/metrics.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <limits>
#include <nlohmann/json.hpp>

#include "core/files.h"

namespace lmms::train {
namespace {

namespace fs = std::filesystem;

fs::path folder(const std::string& content) {
  const fs::path dir =
      fs::path(testing::TempDir()) / testing::UnitTest::GetInstance()->current_test_info()->name();
  fs::create_directories(dir);
  write_atomically(dir / "metrics.jsonl", content);
  return dir;
}

TEST(Metrics, row_of_a_step_has_these_fields_in_this_order) {
  StepMetrics row;
  row.terms = {{"ce_loss", 1.5}};
  const auto json = to_json(row, {1e12, 1});
  std::vector<std::string> keys;
  for (const auto& [key, value] : json.items()) keys.push_back(key);
  EXPECT_EQ(keys, (std::vector<std::string>{
                      "step", "epoch", "loss", "ce_loss", "grad_norm", "learning_rate", "tokens",
                      "supervised_tokens", "samples", "tokens_per_second",
                      "tokens_per_second_per_device", "mfu", "mfu_lmms_engine", "step_ms",
                      "data_wait_ms", "peak_memory_bytes", "skipped_samples"}));
}

TEST(Metrics, of_several_networks_and_terms_are_told_by_their_names) {
  StepMetrics row;
  row.networks = {{.name = "discriminator", .learning_rate = 1e-3, .grad_norm = 2}};
  const auto step = nlohmann::json(to_json(row, {1e12, 1}));
  EXPECT_EQ(step["grad_norm/discriminator"], 2);
  EXPECT_EQ(step["learning_rate/discriminator"], 1e-3);
  EvaluationResult result;
  result.terms = {{"distance", 0.5}};
  EXPECT_EQ(nlohmann::json(to_json(result, 1, 0.0))["eval_distance"], 0.5);
}

TEST(Metrics, floats_come_back_to_the_last_bit) {
  StepMetrics row;
  row.loss = std::nextafter(0.1, 1.0);
  row.learning_rate = 1.0 / 3.0 * 1e-5;
  const auto json = nlohmann::json::parse(to_json(row, {1e12, 1}).dump());
  EXPECT_EQ(json["loss"].get<double>(), row.loss);
  EXPECT_EQ(json["learning_rate"].get<double>(), row.learning_rate);
}

TEST(Metrics, rates_count_time_ranks_and_the_peak_of_a_device) {
  StepMetrics row;
  row.tokens = 1000;
  row.step_seconds = 0.5;
  row.flops = 0.5e12;  // of one rank of the 8
  const auto json = nlohmann::json(to_json(row, {2e12, 8}));
  EXPECT_DOUBLE_EQ(json["tokens_per_second"].get<double>(), 2000);
  EXPECT_DOUBLE_EQ(json["tokens_per_second_per_device"].get<double>(), 250);
  EXPECT_DOUBLE_EQ(json["mfu"].get<double>(), 0.5);
  EXPECT_DOUBLE_EQ(json["step_ms"].get<double>(), 500);
}

TEST(Metrics, what_is_not_finite_is_null_and_a_skipped_step_says_so) {
  StepMetrics row;
  row.loss = std::numeric_limits<double>::quiet_NaN();
  row.skipped = true;
  const auto json = nlohmann::json(to_json(row, {1e12, 1}));
  EXPECT_TRUE(json["loss"].is_null());
  EXPECT_EQ(json["skipped"], true);
  row.skipped = false;
  EXPECT_FALSE(nlohmann::json(to_json(row, {1e12, 1})).contains("skipped"));
}

TEST(MetricsFile, cuts_rows_beyond_the_checkpoint_and_a_torn_line) {
  const fs::path dir = folder(
      "{\"step\":1}\n{\"step\":2}\nno json\n{\"step\":2,\"eval_loss\":1}\n{\"step\":3}\n{\"st");
  MetricsFile(dir, 2).write({{"step", 3}, {"again", true}});
  EXPECT_EQ(*read_file(dir / "metrics.jsonl"),
            "{\"step\":1}\n{\"step\":2}\n{\"step\":2,\"eval_loss\":1}\n{\"step\":3,\"again\":true}"
            "\n");
}

TEST(MetricsFile, cuts_the_evaluation_that_is_still_due) {
  const fs::path dir =
      folder("{\"step\":1,\"eval_loss\":2}\n{\"step\":2}\n{\"step\":2,\"eval_loss\":1}\n");
  MetricsFile(dir, 2, /*evaluation_due=*/true);
  EXPECT_EQ(*read_file(dir / "metrics.jsonl"), "{\"step\":1,\"eval_loss\":2}\n{\"step\":2}\n");
}

TEST(MetricsFile, starts_anew_at_step_0) {
  const fs::path dir = folder("{\"step\":0}\n{\"step\":1}\n");
  MetricsFile(dir, 0);
  EXPECT_EQ(*read_file(dir / "metrics.jsonl"), "");
}

}  // namespace
}  // namespace lmms::train
