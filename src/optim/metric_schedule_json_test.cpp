#include "optim/metric_schedule_json.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

namespace lmms::optim {
namespace {

MetricScheduleState through_text(const MetricScheduleState& state) {
  return metric_schedule_from(nlohmann::json::parse(to_json(state).dump()));
}

TEST(MetricScheduleJson, every_number_comes_back_to_the_bit) {
  MetricScheduleState state;
  EXPECT_EQ(through_text(state), state);
  state = {1e-5 / 3, 0.1 + 0.2, 1, 2, 3, 4, 5, {1.0 / 7, 2.5, 1e-300}, 1.0 / 7 + 2.5};
  EXPECT_EQ(through_text(state), state);
}

TEST(MetricScheduleJson, keeps_numbers_that_are_not_finite) {
  const double inf = std::numeric_limits<double>::infinity();
  MetricScheduleState state;
  state.window = {inf, -inf, std::nan("")};
  const auto back = through_text(state);
  ASSERT_EQ(back.window.size(), 3u);
  EXPECT_EQ(back.window[0], inf);
  EXPECT_EQ(back.window[1], -inf);
  EXPECT_TRUE(std::isnan(back.window[2]));
}

TEST(MetricScheduleJson, throws_where_something_is_missing_or_of_another_type) {
  const nlohmann::json whole = to_json({});
  for (const auto& [key, value] : whole.items()) {
    nlohmann::json broken = whole;
    broken.erase(key);
    EXPECT_THROW(metric_schedule_from(broken), nlohmann::json::exception) << key;
    broken[key] = nlohmann::json::object({{"a", 1}});
    EXPECT_THROW(metric_schedule_from(broken), nlohmann::json::exception) << key;
  }
}

}  // namespace
}  // namespace lmms::optim
