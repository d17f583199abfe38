#include "optim/metric_schedule_json.h"

#include <cmath>
#include <cstdlib>
#include <nlohmann/json.hpp>

#include "core/format.h"

namespace lmms::optim {
namespace {

nlohmann::json number(double x) {
  return std::isfinite(x) ? nlohmann::json(x) : nlohmann::json(fmt::format("{}", x));
}

double number_from(const nlohmann::json& json) {
  return json.is_string() ? std::strtod(json.get_ref<const std::string&>().c_str(), nullptr)
                          : json.get<double>();
}

}  // namespace

nlohmann::json to_json(const MetricScheduleState& state) {
  nlohmann::json out{{"learning_rate", number(state.learning_rate)},
                     {"best", state.best ? number(*state.best) : nlohmann::json()},
                     {"bad", state.bad},
                     {"good", state.good},
                     {"cooldown", state.cooldown},
                     {"warmup", state.warmup},
                     {"until_reset", state.until_reset},
                     {"window", nlohmann::json::array()},
                     {"window_sum", number(state.window_sum)}};
  for (double metric : state.window) out["window"].push_back(number(metric));
  return out;
}

MetricScheduleState metric_schedule_from(const nlohmann::json& json) {
  MetricScheduleState state;
  state.learning_rate = number_from(json.at("learning_rate"));
  if (!json.at("best").is_null()) state.best = number_from(json.at("best"));
  json.at("bad").get_to(state.bad);
  json.at("good").get_to(state.good);
  json.at("cooldown").get_to(state.cooldown);
  json.at("warmup").get_to(state.warmup);
  json.at("until_reset").get_to(state.until_reset);
  for (const nlohmann::json& metric : json.at("window").get_ref<const nlohmann::json::array_t&>())
    state.window.push_back(number_from(metric));
  state.window_sum = number_from(json.at("window_sum"));
  return state;
}

}  // namespace lmms::optim
