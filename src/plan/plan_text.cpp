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

std::string duration(double seconds) {
  const double ms = seconds * 1e3;
  if (ms < 10) return fmt::format("{:.2f} ms", ms);
  if (ms < 10e3) return fmt::format("{:.0f} ms", ms);
  return seconds < 600 ? fmt::format("{:.0f} s", seconds) : fmt::format("{:.0f} min", seconds / 60);
}

// 3.2e12 of "FLOP" as "3.2 TFLOP".
std::string counted(double n, const char* unit) {
  for (const auto& [size, prefix] : {std::pair{1e15, "P"}, {1e12, "T"}, {1e9, "G"}}) {
    if (n >= size) return fmt::format("{:.3g} {}{}", n / size, prefix, unit);
  }
  return fmt::format("{:.3g} M{}", n / 1e6, unit);
}

std::string memory_text(const Plan& plan) {
  const StepCost& cost = plan.fit.cost;
  const std::string parts =
      fmt::format("{}, activations and workspace {}", persistent_text(plan.network),
                  size_text(cost.peak_bytes - cost.persistent_bytes));
  if (plan.card.is_cpu()) {
    return fmt::format(
        "{} at the peak of {} that are free: {}, the program itself {}{}",
        size_text(cost.peak_bytes + plan.card.reserved_bytes), size_text(plan.card.memory_bytes),
        parts, size_text(plan.card.reserved_bytes),
        plan.trial ? fmt::format("; {} were measured while steps ran here",
                                 size_text(plan.trial->peak_bytes + plan.card.reserved_bytes))
                   : "");
  }
  return fmt::format("{} at the peak of {} that tensors can have: {}", size_text(cost.peak_bytes),
                     size_text(plan.usable), parts);
}

std::string time_text(const Plan& plan) {
  if (plan.trial) {
    return fmt::format("{} a step, measured: {} steps ran here just now, with drawn weights",
                       duration(plan.step_seconds()), plan.trial->steps);
  }
  const StepCost& cost = plan.mean;
  std::string out = duration(cost.total_seconds());
  const char* separator = ": ";
  for (const Share& s : shares_of(cost)) {
    out += fmt::format("{}{} {:.0f} %", separator, s.name, 100 * s.seconds / cost.total_seconds());
    separator = ", ";
  }
  if (plan.card.is_cpu()) {
    out += fmt::format(
        ". A guess, within a factor of two: a step is {}, and takes too long or too much memory to "
        "be tried here",
        counted(cost.flops, "FLOP"));
  }
  return out;
}

std::string card_text(const Card& card) {
  if (card.is_cpu()) {
    return fmt::format("this CPU, {}, {} threads: products reach {}/s, copying {}/s (measured now)",
                       card.name, card.processors, counted(card.peak_flops_per_second, "FLOP"),
                       counted(card.copy_bytes_per_second, "B"));
  }
  return fmt::format(
      "{}: {}, {:.0f} TFLOP/s in bf16, products reach {:.0f}, copying {:.2f} TB/s ({})", card.name,
      size_text(card.memory_bytes), card.peak_flops_per_second / 1e12,
      card.product_flops_per_second / 1e12, card.copy_bytes_per_second / 1e12,
      !card.known     ? "not known: rates of an H100, times mean little"
      : card.measured ? "measured"
                      : "not measured: by data sheet, times are a guess");
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
                     size_text(a.fit.cost.peak_bytes), duration(a.fit.cost.total_seconds()),
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
                        const Card& card) {
  const char* device = card.is_cpu() ? "machine" : "card";
  std::string out;
  for (const Alternative& a : alternatives)
    out += (out.empty() ? "" : "; or ") + alternative_text(a);
  if (!out.empty()) return out;
  const int64_t left = usable_bytes(card) - cost.persistent_bytes;
  if (left <= 0) {
    return fmt::format(
        "weights, gradients and states alone are too many for this {0}: freeze modules, take a "
        "smaller model or a {0} with more memory",
        device);
  }
  return fmt::format(
      "even with everything run again and bf16 states it does not fit: rows of about {:.0f} % of "
      "the tokens (dataset_config.packing_length, per_device_train_batch_size), or a {} with more "
      "memory",
      90.0 * static_cast<double>(left) /
          static_cast<double>(cost.peak_bytes - cost.persistent_bytes),
      device);
}

std::string plan_table(const Plan& plan, int width) {
  const Card& card = plan.card;
  TableRows rows;
  for (const std::string& notice : plan.notices) rows.emplace_back("note", notice);
  rows.emplace_back("model", plan.model);
  rows.emplace_back("parameters",
                    fmt::format("{} trained, {} frozen", grouped(plan.network.trained),
                                grouped(plan.network.frozen)));
  rows.emplace_back(card.is_cpu() ? "machine" : "card", card_text(card));
  rows.emplace_back("a step", fmt::format("{} {}, {} tokens (mean of the first {} steps)",
                                          plan.rows, plan.rows == 1 ? "row" : "rows",
                                          grouped(plan.mean.tokens), plan.steps));
  rows.emplace_back("memory", memory_text(plan));
  rows.emplace_back("run again", plan.fit.recompute);
  rows.emplace_back("time", time_text(plan));
  rows.emplace_back("speed", fmt::format("{} tokens a second, MFU {:.1f} %",
                                         grouped(static_cast<int64_t>(plan.tokens_per_second())),
                                         100 * plan.mfu()));
  if (!plan.trial) rows.emplace_back("what limits", limit_text(plan));
  if (!plan.fit.fits)
    rows.emplace_back("what would fit", advice_text(plan.alternatives, plan.fit.cost, card));
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
      {"device", plan.card.is_cpu() ? "cpu" : "gpu"},
      {"card", plan.card.name},
      {"card_measured", plan.card.measured},
      {"card_known", plan.card.known},
      {"card_memory_bytes", plan.card.memory_bytes},
      {"reserved_memory_bytes", plan.card.reserved_bytes},
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
      {"step_flops", mean.flops},
      {"step_ms", 1e3 * plan.step_seconds()},
      {"steps_tried", plan.trial ? plan.trial->steps : 0},
      {"tried_peak_memory_bytes", plan.trial ? plan.trial->peak_bytes : 0},
      {"ms", std::move(milliseconds)},
      {"tokens_per_second", plan.tokens_per_second()},
      {"mfu", plan.mfu()},
      {"alternatives", std::move(alternatives)}};
}

}  // namespace lmms::plan
