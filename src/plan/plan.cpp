#include "plan/plan.h"

#include <algorithm>
#include <string>

#include "core/error.h"
#include "core/memory_watch.h"

namespace lmms::plan {
namespace {

StepCost mean_of(const std::vector<StepCost>& costs) {
  StepCost sum;
  for (const StepCost& c : costs) {
    sum.seconds.products += c.seconds.products;
    sum.seconds.attention += c.seconds.attention;
    sum.seconds.passes += c.seconds.passes;
    sum.seconds.launches += c.seconds.launches;
    sum.update_seconds += c.update_seconds;
    sum.flops += c.flops;
    sum.tokens += c.tokens;
    sum.peak_bytes = std::max(sum.peak_bytes, c.peak_bytes);
    sum.persistent_bytes = c.persistent_bytes;
  }
  const auto n = static_cast<double>(costs.size());
  for (double* x : {&sum.seconds.products, &sum.seconds.attention, &sum.seconds.passes,
                    &sum.seconds.launches, &sum.update_seconds, &sum.flops})
    *x /= n;
  sum.tokens /= static_cast<int64_t>(costs.size());
  return sum;
}

// On a CPU nothing is chosen by itself: what is not said already is offered.
void cpu_alternatives(const PlannedRun& run, const Card& card, const data::StepBatch& batch,
                      std::vector<Alternative>& out) {
  PlannedRun changed = run;
  Alternative a;
  const auto add = [&](const char* change) {
    a.change += (a.change.empty() ? "" : " ") + std::string(change);
    Rehearsal rehearsal(changed, static_cast<int64_t>(batch.micro_steps.size()), card);
    a.fit = fit_of(rehearsal, batch, changed.context, usable_bytes(card));
    if (a.fit.fits) out.push_back(a);
  };
  if (run.context.keep != nn::Keep::inputs) {
    changed.context.keep = nn::Keep::inputs;
    add("trainer_args.gradient_checkpointing=true");
  }
  if (run.masters && run.network_options(1).memory.dtype == at::kBFloat16) {
    changed.masters = false;
    add("trainer_args.master_weights=false");
  }
}

// A step that is short by law, and fits with something to spare: its time can be had.
std::optional<Trial> trial_of(const PlannedRun& run, std::span<const data::StepBatch> batches,
                              const Plan& plan) {
  constexpr double kBudget = 3, kLongestStep = 4, kMemory = 0.7;
  if (!plan.card.is_cpu() || plan.mean.total_seconds() > kLongestStep ||
      static_cast<double>(plan.fit.cost.peak_bytes) > kMemory * static_cast<double>(plan.usable))
    return std::nullopt;
  return try_steps(run, batches, plan.fit.context, kBudget,
                   std::max<int64_t>(20, static_cast<int64_t>(batches.size())));
}

// Supervised tokens, or what an objective's drawing counts.
bool trains_something(const data::StepBatch& batch) {
  return batch.supervised_tokens > 0 ||
         std::any_of(batch.counts.begin(), batch.counts.end(),
                     [](const auto& term) { return term.second > 0; });
}

}  // namespace

std::vector<data::StepBatch> first_steps(const PlannedData& data, int64_t steps) {
  data::Loader loader(data.training, data.processor, data.loader);
  std::vector<data::StepBatch> out;
  while (static_cast<int64_t>(out.size()) < steps) {
    std::optional<data::StepBatch> batch = loader.next();
    if (!batch) break;
    if (trains_something(*batch)) out.push_back(std::move(*batch));
  }
  if (out.empty())
    throw Error("dataset_config", "no step has anything to train",
                "lmms preview shows what becomes of the records");
  return out;
}

std::vector<Alternative> alternatives(const PlannedRun& run, const Card& card,
                                      const data::StepBatch& batch) {
  const int64_t usable = usable_bytes(card);
  const auto micro_steps = static_cast<int64_t>(batch.micro_steps.size());
  std::vector<Alternative> out;
  if (card.is_cpu()) {
    cpu_alternatives(run, card, batch, out);
    return out;
  }
  for (const bool masters : {true, false}) {
    if (masters && !run.masters) continue;
    PlannedRun changed = run;
    changed.masters = masters;
    Rehearsal rehearsal(changed, micro_steps, card);
    Alternative a{"trainer_args.gradient_checkpointing=auto",
                  least_recompute(rehearsal, batch, run.context, usable)};
    if (masters != run.masters) a.change += " trainer_args.master_weights=false";
    if (a.fit.fits) out.push_back(std::move(a));
  }
  std::stable_sort(out.begin(), out.end(), [](const Alternative& a, const Alternative& b) {
    return a.fit.cost.total_seconds() < b.fit.cost.total_seconds();
  });
  return out;
}

Plan make_plan(const PlannedRun& run, const PlannedData& data, Card card, int64_t steps) {
  Plan plan;
  plan.rows = data.loader.global_rows;
  const std::vector<data::StepBatch> batches = first_steps(data, steps);
  // with its libraries, tokenizer and data at work the program is as large as that of a run
  if (card.is_cpu()) card.reserved_bytes = own_memory_bytes();
  plan.card = card;
  plan.usable = usable_bytes(card);
  plan.steps = static_cast<int64_t>(batches.size());
  size_t most = 0;
  {
    Rehearsal rehearsal(run, run.micro_steps, card);
    plan.network = rehearsal.network_size();
    most = largest(rehearsal, batches, run.context);
    plan.fit = run.automatic ? least_recompute(rehearsal, batches[most], run.context, plan.usable)
                             : fit_of(rehearsal, batches[most], run.context, plan.usable);
    std::vector<StepCost> costs;
    for (const data::StepBatch& batch : batches)
      costs.push_back(rehearsal.step(batch, plan.fit.context));
    plan.mean = mean_of(costs);
  }
  if (!plan.fit.fits) plan.alternatives = alternatives(run, card, batches[most]);
  plan.trial = trial_of(run, batches, plan);
  return plan;
}

}  // namespace lmms::plan
