#include "train/plan_setup.h"

#include "core/format.h"
#include "core/memory_watch.h"
#include "inspect/machine/facts.h"
#include "kernels/open_device.h"
#include "step/cost_model.h"
#include "step/device_batch.h"
#include "train/doctor_setup.h"
#include "train/kernel_patches.h"
#include "train/opening.h"
#include "train/registries.h"

namespace lmms::train {
namespace {

/// The run that is planned: on a GPU, in bf16, whose kernels alone are known. `notices`: what is
/// not the config's own.
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

/// This machine's CPU under `loaded`, and that the process computes as a run there would.
plan::Card cpu_for(const LoadedConfig& loaded, const Place& place) {
  (void)kernels::open_device(place.device(/*use_cpu=*/true));
  return plan::this_cpu(loaded.config.trainer.bf16 ? at::kBFloat16 : at::kFloat,
                        inspect::host_facts().free_bytes + own_memory_bytes());
}

/// What is planned: the card of this name, or what `lmms train` takes here. Throws Error where that
/// refuses the machine.
plan::Card card_for(const std::string& name, const LoadedConfig& loaded, const Place& place,
                    std::vector<std::string>& notices) {
  if (name == "cpu") return cpu_for(loaded, place);
  if (!name.empty()) return plan::card_named(name);
  const kernels::DeviceRequest request = place.device(loaded.config.trainer.use_cpu);
  const c10::Device device = kernels::open_device(request);
  if (device.is_cuda()) return plan::card_of(device);
  if (!request.use_cpu) {
    notices.emplace_back(
        "planned for this machine's CPU, which lmms train takes here, as this program sees no GPU: "
        "--card h100 plans such a card");
  }
  return cpu_for(loaded, place);
}

}  // namespace

std::string planned_cards() {
  return "cpu (this machine's); " + plan::card_names() + "; a MIG slice by its size: h100:3g.40gb";
}

nn::RunContext run_context(const LoadedConfig& loaded) {
  nn::RunContext context;
  if (loaded.config.trainer.gradient_checkpointing == GradientCheckpointing::on)
    context.keep = nn::Keep::inputs;
  context.kernels = kernel_set(loaded);
  return context;
}

plan::PlannedRun planned_run(const LoadedConfig& loaded, const models::Model& model,
                             std::shared_ptr<const objectives::Objective> objective,
                             const ReferenceOpener& open_references) {
  constexpr const char* kWhere = "config.json";
  const TrainerArgs& args = loaded.config.trainer;
  plan::PlannedRun run;
  run.make_model = [loaded, config = model.config()] {
    auto made = models::model_entry(loaded.registries->models, config, kWhere).make(config, kWhere);
    patch_structure(loaded, *made);
    return made;
  };
  run.network_options = [loaded](int64_t micro_steps) {
    return network_options(loaded, micro_steps, at::kMeta);
  };
  run.open_references = open_references;
  run.masters = args.master_weights;
  run.objective = std::move(objective);
  run.context = run_context(loaded);
  run.automatic = args.gradient_checkpointing == GradientCheckpointing::automatic && args.bf16;
  run.where = loaded.where("trainer_args.gradient_checkpointing");
  run.micro_steps = micro_steps_of(args, rows_a_step(args));
  return run;
}

plan::Plan make_plan(const LoadedConfig& asked, const Place& place, const std::string& name,
                     int64_t steps) {
  std::vector<std::string> notices;
  const plan::Card card = card_for(name, asked, place, notices);
  const bool on_cpu = card.is_cpu();
  const LoadedConfig loaded = on_cpu ? asked : as_on_a_card(asked, card.name, notices);
  OpenedRun opened = open_run(loaded, place);
  const inspect::RunNeeds needs = run_needs(loaded, place);
  plan::PlannedData data{
      opened.data.training, opened.data.processing.processor,
      loader_options(loaded.config, rows_a_step(loaded.config.trainer),
                     opened.data.processing.pad_id(), step::cost_model_of(*opened.source.model))};
  if (!on_cpu) data.loader.pad_multiple = step::kGpuTokenGrain;
  objectives::set_loading(*opened.objective, static_cast<uint64_t>(loaded.config.trainer.seed),
                          data.loader);
  plan::PlannedRun run = planned_run(loaded, *opened.source.model, std::move(opened.objective),
                                     opened.open_references);
  if (on_cpu) run.automatic = false;  // a run on the CPU makes nothing again by itself
  plan::Plan plan = plan::make_plan(run, data, card, steps);
  plan.notices = std::move(notices);
  plan.model = needs.model;
  return plan;
}

}  // namespace lmms::train
