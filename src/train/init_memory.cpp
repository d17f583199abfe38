#include "train/init_memory.h"

#include <algorithm>
#include <optional>

#include "core/error.h"
#include "core/format.h"
#include "core/units.h"
#include "plan/plan.h"
#include "train/plan_setup.h"

namespace lmms::train {
namespace {

constexpr int64_t kSteps = 4;           // of the data, rehearsed
constexpr double kWorthShorter = 1.03;  // times the speed, for which rows become shorter

std::vector<MemorySetting> settings_for(bool on_cpu) {
  using enum GradientCheckpointing;
  if (!on_cpu) return {{}, {.masters = false}};
  return {{.on_cpu = true, .bf16 = false, .checkpointing = off},
          {.on_cpu = true, .bf16 = false, .checkpointing = on},
          {.on_cpu = true, .bf16 = true, .checkpointing = on, .masters = false}};
}

RowChoice with_length(RowChoice rows, int64_t length) {
  rows.length = length;
  if (!rows.packing) rows.max_length = std::min(rows.max_length.value_or(length), length);
  return rows;
}

std::string duration_text(double seconds) {
  if (seconds < 1.5) return "a second";
  if (seconds < 90) return fmt::format("{:.0f} seconds", seconds);
  if (seconds < 90 * 60) return fmt::format("{:.0f} minutes", seconds / 60);
  if (seconds < 48 * 3600) return fmt::format("{:.0f} hours", seconds / 3600);
  return fmt::format("{:.0f} days", seconds / 86400);
}

Error nothing_fits(const plan::Plan& plan) {
  const char* elsewhere = plan.card.is_cpu() ? "; or, where the config is for another machine, "
                                               "name its card: --card h100"
                                             : "; or name a larger card: --card NAME";
  return {plan.card.name,
          fmt::format("this model does not fit: a step takes {}, and tensors can have {}",
                      size_text(plan.fit.cost.peak_bytes), size_text(plan.usable)),
          plan::advice_text(plan.alternatives, plan.fit.cost, plan.card) + elsewhere, Exit::failed};
}

MemoryChoice chosen(const RowChoice& rows, const MemorySetting& setting, const plan::Plan& plan) {
  MemoryChoice out;
  out.rows = rows;
  out.setting = setting;
  out.parameters = plan.network.trained + plan.network.frozen;
  out.tokens_per_second = plan.tokens_per_second();
  out.card = plan.card.name;
  out.text = fmt::format("{} of {} on {}", size_text(plan.fit.cost.peak_bytes),
                         size_text(plan.usable), plan.card.name);
  if (!setting.on_cpu) out.text += "; run again in backward: " + plan.fit.recompute;
  return out;
}

}  // namespace

void MemorySetting::write(ConfigDraft& draft) const {
  const auto set = [&](const char* key, bool wanted, auto value, const char* why) {
    if (wanted) {
      draft.set(key, value, why);
    } else {
      draft.remove(key);
    }
  };
  set("trainer_args.use_cpu", on_cpu, true, "take the line out where a GPU is");
  set("trainer_args.bf16", bf16, true,
      masters ? "computes in bf16, fp32 masters beside" : "half the memory of fp32");
  set("trainer_args.master_weights", bf16 && !masters, false,
      "no fp32 masters, rounded at random: with them it does not fit");
  switch (checkpointing) {
    case GradientCheckpointing::automatic:
      draft.set("trainer_args.gradient_checkpointing", "auto",
                "only what memory asks for is run again");
      break;
    case GradientCheckpointing::on:
      draft.set("trainer_args.gradient_checkpointing", true,
                "layers run again in backward: else it does not fit");
      break;
    case GradientCheckpointing::off:
      draft.remove("trainer_args.gradient_checkpointing");
  }
}

std::string MemoryChoice::time_text(double tokens) const {
  if (!(tokens_per_second > 0)) return "";
  return fmt::format(", {} on {} by the plan", duration_text(tokens / tokens_per_second), card);
}

MemoryChoice choose_memory(const RowChoice& rows, const std::string& card, const Place& place,
                           const TriedConfig& config) {
  std::optional<Error> failure;
  for (const MemorySetting& setting : settings_for(card == "cpu")) {
    std::optional<MemoryChoice> best;
    const int64_t least = std::min(rows.length, std::max(rows.least, rows.length / 4));
    for (int64_t length = rows.length; length >= least; length /= 2) {
      const RowChoice tried = with_length(rows, length);
      const plan::Plan plan = make_plan(config(tried, setting), place, card, kSteps);
      if (!plan.fit.fits) {
        failure = nothing_fits(plan);
        continue;
      }
      if (!best || plan.tokens_per_second() > kWorthShorter * best->tokens_per_second)
        best = chosen(tried, setting, plan);
      if (plan.fit.recompute == "nothing" || setting.on_cpu) break;  // shorter rows gain nothing
    }
    if (best) return *std::move(best);
  }
  throw *failure;
}

}  // namespace lmms::train
