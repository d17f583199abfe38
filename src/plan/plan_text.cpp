#include <algorithm>
#include <nlohmann/json.hpp>

#include "core/format.h"
#include "core/text_table.h"
#include "core/units.h"
#include "plan/plan.h"

namespace lmms::plan {
namespace {

struct Share {
  const char* name;
  double seconds;
};

std::vector<Share> shares_of(const StepCost& cost) {
  return {{"products", cost.seconds.products},
          {"attention", cost.seconds.attention},
          {"passes over memory", cost.seconds.passes},
          {"optimiser", cost.update_seconds},
          {"gaps", cost.seconds.launches}};
}

std::string milliseconds(double seconds) {
  const double ms = seconds * 1e3;
  return ms < 10 ? fmt::format("{:.2f} ms", ms) : fmt::format("{:.0f} ms", ms);
}

std::string memory_text(const Plan& plan) {
  const StepCost& cost = plan.fit.cost;
  return fmt::format("{} at the peak of {} that tensors can have: {}, activations and workspace {}",
                     size_text(cost.peak_bytes), size_text(plan.usable),
                     persistent_text(plan.network),
                     size_text(cost.peak_bytes - cost.persistent_bytes));
}

std::string time_text(const StepCost& cost) {
  std::string out = milliseconds(cost.total_seconds());
  const char* separator = ": ";
  for (const Share& s : shares_of(cost)) {
    out += fmt::format("{}{} {:.0f} %", separator, s.name, 100 * s.seconds / cost.total_seconds());
    separator = ", ";
  }
  return out;
}

std::string limit_text(const Plan& plan) {
  if (!plan.fit.fits) {
    return fmt::format("memory: {} more than there is",
                       size_text(plan.fit.cost.peak_bytes - plan.usable));
  }
  const std::vector<Share> shares = shares_of(plan.mean);
  const auto most =
      std::max_element(shares.begin(), shares.end(),
                       [](const auto& a, const auto& b) { return a.seconds < b.seconds; });
  return fmt::format("{}, {:.0f} % of a step", most->name,
                     100 * most->seconds / plan.mean.total_seconds());
}

std::string alternative_text(const Alternative& a) {
  return fmt::format("{}: {}, {} a step, runs again: {}", a.change,
                     size_text(a.fit.cost.peak_bytes), milliseconds(a.fit.cost.total_seconds()),
                     a.fit.recompute);
}

}  // namespace

std::string persistent_text(const step::NetworkSize& network) {
  std::string out;
  for (const auto& [name, bytes] : {std::pair<const char*, int64_t>{"weights", network.weights},
                                    {"gradients", network.gradients},
                                    {"fp32 masters", network.masters},
                                    {"optimiser states", network.optimizer_states},
                                    {"average (EMA)", network.averages}}) {
    if (bytes > 0) out += fmt::format("{}{} {}", out.empty() ? "" : ", ", name, size_text(bytes));
  }
  return out;
}

std::string advice_text(const std::vector<Alternative>& alternatives, const StepCost& cost,
                        int64_t usable) {
  std::string out;
  for (const Alternative& a : alternatives)
    out += (out.empty() ? "" : "; or ") + alternative_text(a);
  if (!out.empty()) return out;
  const int64_t left = usable - cost.persistent_bytes;
  if (left <= 0) {
    return "weights, gradients and states alone are too many for this card: freeze modules, take "
           "a smaller model or a card with more memory";
  }
  return fmt::format(
      "even with everything run again and bf16 states it does not fit: rows of about {:.0f} % of "
      "the tokens (dataset_config.packing_length, per_device_train_batch_size), or a card with "
      "more memory",
      90.0 * static_cast<double>(left) /
          static_cast<double>(cost.peak_bytes - cost.persistent_bytes));
}

std::string plan_table(const Plan& plan, int width) {
  const Card& card = plan.card;
  TableRows rows;
  for (const std::string& notice : plan.notices) rows.emplace_back("note", notice);
  rows.emplace_back("model", plan.model);
  rows.emplace_back("parameters",
                    fmt::format("{} trained, {} frozen", grouped(plan.network.trained),
                                grouped(plan.network.frozen)));
  rows.emplace_back(
      "card",
      fmt::format("{}: {}, {:.0f} TFLOP/s in bf16, products reach {:.0f}, copying {:.2f} "
                  "TB/s ({})",
                  card.name, size_text(card.memory_bytes), card.peak_flops_per_second / 1e12,
                  card.product_flops_per_second / 1e12, card.copy_bytes_per_second / 1e12,
                  card.measured ? "measured" : "by data sheet: times are a guess"));
  rows.emplace_back("a step", fmt::format("{} {}, {} tokens (mean of the first {} steps)",
                                          plan.rows, plan.rows == 1 ? "row" : "rows",
                                          grouped(plan.mean.tokens), plan.steps));
  rows.emplace_back("memory", memory_text(plan));
  rows.emplace_back("run again", plan.fit.recompute);
  rows.emplace_back("time", time_text(plan.mean));
  rows.emplace_back("speed", fmt::format("{} tokens a second, MFU {:.1f} %",
                                         grouped(static_cast<int64_t>(plan.tokens_per_second())),
                                         100 * plan.mfu()));
  rows.emplace_back("what limits", limit_text(plan));
  if (!plan.fit.fits)
    rows.emplace_back("what would fit", advice_text(plan.alternatives, plan.fit.cost, plan.usable));
  return render_table(rows, width);
}

nlohmann::json plan_json(const Plan& plan) {
  const step::NetworkSize& network = plan.network;
  const StepCost& mean = plan.mean;
  nlohmann::json alternatives = nlohmann::json::array();
  for (const Alternative& a : plan.alternatives) {
    alternatives.push_back({{"change", a.change},
                            {"recompute", a.fit.recompute},
                            {"peak_memory_bytes", a.fit.cost.peak_bytes},
                            {"step_ms", 1e3 * a.fit.cost.total_seconds()}});
  }
  nlohmann::json milliseconds;
  for (const Share& s : shares_of(mean)) milliseconds[s.name] = 1e3 * s.seconds;
  return {
      {"model", plan.model},
      {"trained", network.trained},
      {"frozen", network.frozen},
      {"notices", plan.notices},
      {"card", plan.card.name},
      {"card_memory_bytes", plan.card.memory_bytes},
      {"usable_memory_bytes", plan.usable},
      {"fits", plan.fit.fits},
      {"peak_memory_bytes", plan.fit.cost.peak_bytes},
      {"memory_bytes",
       {{"weights", network.weights},
        {"gradients", network.gradients},
        {"masters", network.masters},
        {"optimiser_states", network.optimizer_states},
        {"averages", network.averages},
        {"activations_and_workspace", plan.fit.cost.peak_bytes - plan.fit.cost.persistent_bytes}}},
      {"recompute", plan.fit.recompute},
      {"steps", plan.steps},
      {"tokens", mean.tokens},
      {"step_ms", 1e3 * mean.total_seconds()},
      {"ms", std::move(milliseconds)},
      {"tokens_per_second", plan.tokens_per_second()},
      {"mfu", plan.mfu()},
      {"alternatives", std::move(alternatives)}};
}

}  // namespace lmms::plan
