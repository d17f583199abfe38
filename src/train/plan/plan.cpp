#include "train/plan/plan.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/format.h"
#include "train/cost_model.h"
#include "train/kernel_patches.h"
#include "train/opening.h"

namespace lmms::train::plan {
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

/// The run that is planned: on a GPU, in bf16, whose kernels alone are known. Tells what is not the
/// config's own.
LoadedConfig as_on_a_card(const LoadedConfig& loaded, const std::string& card,
                          std::vector<std::string>& notices) {
  LoadedConfig planned = loaded;
  TrainerArgs& args = planned.config.trainer;
  if (args.use_cpu) {
    notices.push_back(fmt::format(
        "planned as if on {}: under trainer_args.use_cpu: true lmms train takes the CPU", card));
    args.use_cpu = false;
  }
  if (!args.bf16) {
    notices.push_back(
        "planned as with trainer_args.bf16: true: the run is in fp32, which takes up to twice the "
        "memory for activations and several times as long on a GPU");
    args.bf16 = true;
  }
  return planned;
}

}  // namespace

nn::RunContext context_of(const TrainConfig& config) {
  nn::RunContext context;
  if (config.trainer.gradient_checkpointing == GradientCheckpointing::on)
    context.keep = nn::Keep::inputs;
  context.kernels = kernel_set(config);
  return context;
}

std::vector<data::StepBatch> first_steps(const RunData& data, const data::LoaderOptions& options,
                                         int64_t steps) {
  data::Loader loader(data.training, data.processing.processor, options);
  std::vector<data::StepBatch> out;
  while (static_cast<int64_t>(out.size()) < steps) {
    std::optional<data::StepBatch> batch = loader.next();
    if (!batch) break;
    if (batch->supervised_tokens > 0) out.push_back(std::move(*batch));
  }
  if (out.empty())
    throw Error("dataset_config", "no step has anything to train",
                "lmms preview shows what becomes of the records");
  return out;
}

std::vector<Alternative> alternatives(const LoadedConfig& loaded, const nlohmann::json& model,
                                      const Card& card, const data::StepBatch& batch) {
  const int64_t usable = usable_bytes(card);
  const auto micro_steps = static_cast<int64_t>(batch.micro_steps.size());
  std::vector<Alternative> out;
  for (const bool masters : {true, false}) {
    if (masters && !loaded.config.trainer.master_weights) continue;
    LoadedConfig changed = loaded;
    changed.config.trainer.master_weights = masters;
    Rehearsal rehearsal(changed, model, micro_steps, card);
    const nn::RunContext context = context_of(changed.config);
    Alternative a{"trainer_args.gradient_checkpointing=auto",
                  least_recompute(rehearsal, batch, context, usable)};
    if (masters != loaded.config.trainer.master_weights)
      a.change += " trainer_args.master_weights=false";
    if (a.fit.fits) out.push_back(std::move(a));
  }
  std::stable_sort(out.begin(), out.end(), [](const Alternative& a, const Alternative& b) {
    return a.fit.cost.total_seconds() < b.fit.cost.total_seconds();
  });
  return out;
}

Plan make_plan(const LoadedConfig& asked, const Place& place, const Card& card, int64_t steps) {
  Plan plan;
  plan.card = card;
  const LoadedConfig loaded = as_on_a_card(asked, card.name, plan.notices);
  const TrainerArgs& args = loaded.config.trainer;
  OpenedRun run = open_run(loaded, place);
  plan.needs = run_needs(loaded, place);
  plan.usable = usable_bytes(card);
  plan.rows = rows_a_step(args);
  data::LoaderOptions options =
      loader_options(loaded.config, plan.rows, run.data.processing.tokenizer.pad().value_or(0),
                     cost_model_of(*run.source.model));
  options.pad_multiple = kGpuTokenGrain;
  const std::vector<data::StepBatch> batches = first_steps(run.data, options, steps);
  plan.steps = static_cast<int64_t>(batches.size());
  const nlohmann::json model = run.source.model->config();
  size_t most = 0;
  {
    Rehearsal rehearsal(loaded, model, micro_steps_of(args, plan.rows), card);
    const nn::RunContext context = context_of(loaded.config);
    most = largest(rehearsal, batches, context);
    plan.fit = args.gradient_checkpointing == GradientCheckpointing::automatic
                   ? least_recompute(rehearsal, batches[most], context, plan.usable)
                   : fit_of(rehearsal, batches[most], context, plan.usable);
    std::vector<StepCost> costs;
    for (const data::StepBatch& batch : batches)
      costs.push_back(rehearsal.step(batch, plan.fit.context));
    plan.mean = mean_of(costs);
  }
  if (!plan.fit.fits) plan.alternatives = alternatives(loaded, model, card, batches[most]);
  return plan;
}

}  // namespace lmms::train::plan
