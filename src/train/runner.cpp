#include "train/runner.h"

#include <ATen/Parallel.h>
#include <unistd.h>

#include <future>
#include <nlohmann/json.hpp>
#include <thread>

#include "checkpoint/finished.h"
#include "checkpoint/output_lock.h"
#include "core/format.h"
#include "core/log.h"
#include "core/ranks.h"
#include "core/terminal.h"
#include "inspect/machine/facts.h"
#include "kernels/attention/attention.h"
#include "kernels/device.h"
#include "kernels/open_device.h"
#include "kernels/peak.h"
#include "plan/memory_adviser.h"
#include "step/cost_model.h"
#include "step/device_batch.h"
#include "train/config_changes.h"
#include "train/kernel_patches.h"
#include "train/opening.h"
#include "train/output_folder.h"
#include "train/plan_setup.h"
#include "train/registries.h"
#include "train/run_loop.h"
#include "train/startup_table.h"

namespace lmms::train {
namespace {

namespace fs = std::filesystem;

void log_differences(const RunState& before, const RunState& now, const TrainConfig& config) {
  const auto paths = before.fingerprints ? Paths::content_is_compared : Paths::are_data;
  for (const std::string& change : config_changes(before.config, config, paths))
    log::notice("changed since the checkpoint: " + change);
  if (!config.trainer.global_rows && before.global_rows != now.global_rows) {
    log::notice(
        fmt::format("a step keeps its {} rows, as at the first start, though "
                    "per_device_train_batch_size and gradient_accumulation_steps make {}",
                    before.global_rows, now.global_rows));
  }
  if (before.threads != now.threads) {
    log::notice(
        fmt::format("the checkpoint was written with {} threads, this run has {}: results agree to "
                    "rounding, not to the bit",
                    before.threads, now.threads));
  }
  if (before.device != now.device) {
    log::notice(fmt::format("the checkpoint was written on {}, this run is on {}", before.device,
                            now.device));
  }
}

/// Loads the libraries of the first step's kernels, which takes a second, beside whatever the run
/// does first. What fails there fails again, and is told, in the step.
std::jthread warm_kernels(c10::Device device, const TrainerArgs& args) {
  if (!device.is_cuda() || !args.bf16) return {};
  return std::jthread([device] {
    try {
      kernels::warm_attention(device, at::kBFloat16);
    } catch (const std::exception&) {
    }
  });
}

/// A checkpoint to go on from fills them later.
step::InitialWeights initial_weights(const fs::path& folder, bool goes_on) {
  using From = step::InitialWeights::From;
  if (goes_on) return {.from = From::later};
  return {.from = folder.empty() ? From::law : From::folder, .folder = folder};
}

/// Whether the config asks to go on with a run that is over, which is said then.
bool is_finished(const TrainerArgs& args, const std::string& resolved) {
  if (args.resume_from_checkpoint != Resume{}) return false;
  const auto steps = checkpoint::finished_steps(args.output_dir, resolved);
  if (!steps) return false;
  log::write_always(log::Level::notice,
                    fmt::format("{}: this run is finished, after {} steps; nothing is left to do. "
                                "trainer_args.resume_from_checkpoint=false trains anew",
                                args.output_dir, *steps));
  return true;
}

/// What the run goes on from, if there is something: `state`, that of a run that begins, then
/// becomes the saved one, under the threads, the device and the config of this start.
std::optional<Beginning> go_on_or_begin(const LoadedConfig& loaded, RunState& state) {
  const TrainConfig& config = loaded.config;
  auto beginning = Saver::find(loaded);
  if (!beginning) return std::nullopt;
  RunState before = beginning->state;
  before.best = best_state_for(config.trainer, before.best);
  log_differences(before, state, config);
  before.threads = state.threads;
  before.device = state.device;
  before.config = state.config;
  const auto& global_rows = config.trainer.global_rows;
  if (global_rows && *global_rows != before.global_rows) {
    throw Error(
        loaded.where("trainer_args.global_rows"),
        fmt::format(
            "the checkpoint was trained with {} rows a step; they are fixed at the first start",
            before.global_rows),
        "leave global_rows out, or start anew in another output_dir");
  }
  state = std::move(before);
  return beginning;
}

/// Checkpoints that a kill kept from being deleted.
void tell_deleted(const Beginning& beginning, JournalFile& journal) {
  for (const int64_t step : beginning.deleted)
    journal.write("checkpoint_deleted", {{"path", checkpoint::checkpoint_path("", step).string()}});
}

/// Of every network; checkpoints keep their state.
void make_schedules(step::TrainState& trained, const LoadedConfig& loaded,
                    std::optional<int64_t> total_steps) {
  const TrainerArgs& args = loaded.config.trainer;
  const optim::ScheduleFactory make = loaded.registries->schedules.at(
      args.schedule.lr_scheduler_type, loaded.where("trainer_args.lr_scheduler_type"));
  for (step::Network& network : trained.networks) {
    network.schedule.emplace(
        make, optim::ScheduleSetup{args.schedule, network.groups.front().learning_rate, total_steps,
                                   loaded.config.compat.schedule});
  }
}

/// The journal's record of this start.
nlohmann::json start_record(const RunParts& parts, const RunState& state, const TableRows& table) {
  const auto sources = [](const std::shared_ptr<const data::Dataset>& dataset) {
    nlohmann::json out = nlohmann::json::array();
    if (!dataset) return out;
    for (const data::SourceSummary& s : dataset->sources()) {
      out.push_back({{"path", s.path},
                     {"format", s.format},
                     {"rows", s.rows},
                     {"weight", s.weight},
                     {"samples_per_epoch", s.samples_per_epoch}});
    }
    return out;
  };
  const nn::ParamTable& params = parts.trained.main().model->params();
  const std::optional<int64_t> total = parts.loader.total_steps();
  return {{"step", state.step},
          {"versions", inspect::versions()},
          {"machine", inspect::machine(parts.device)},
          {"table", table},
          {"sources", sources(parts.data.training)},
          {"evaluation_sources", sources(parts.data.evaluation.dataset)},
          {"parameters",
           {{"trained", params.elements(/*trainable_only=*/true)}, {"all", params.elements()}}},
          {"total_steps", total ? nlohmann::json(*total) : nlohmann::json()},
          {"peak_flops_per_second", parts.machine.peak_flops_per_second}};
}

}  // namespace

Exit train(const LoadedConfig& loaded, const Place& place) {
  const TrainConfig& config = loaded.config;
  const TrainerArgs& args = config.trainer;
  JournalFile journal;  // from here on both take what is told to the user
  RunLog run_log;
  const std::string resolved = write_resolved(config);
  if (is_finished(args, resolved)) return Exit::done;
  const c10::Device device = kernels::open_device(place.device(args.use_cpu));
  PeakMemory memory(device);
  if (device.is_cuda() && !args.bf16)
    log::notice("training in fp32 on a GPU; trainer_args.bf16: true is several times faster");
  for (const std::string& notice : loaded.notices) log::notice(notice);
  if (const std::string notice = notice_of_patches(config, device); !notice.empty())
    log::notice(notice);

  const std::jthread warming = warm_kernels(device, args);
  OpenedRun opened = open_run(loaded, place);
  ModelSource& source = opened.source;
  const auto ranks = std::make_shared<OneRank>();  // of the loaders and the control plane
  opened.data.evaluation.options.ranks = ranks;
  const RunData& data = opened.data;
  // now: the folders may be gone when a checkpoint is written
  const auto side_files = std::make_shared<const checkpoint::SideFiles>(
      checkpoint::read_side_files(data.processing.tokenizer_folder, source.folder).take());
  const FingerprintTaker fingerprints(data);

  RunState state;
  state.global_rows = rows_a_step(args);
  state.threads = at::get_num_threads();
  state.device = kernels::device_name(device);
  state.config = resolved;
  state.best = best_state_for(args, std::nullopt);

  const checkpoint::OutputLock lock(args.output_dir);
  finish_moving_aside(args);
  const std::optional<Beginning> beginning = go_on_or_begin(loaded, state);
  if (beginning) tell_deleted(*beginning, journal);
  data::LoaderOptions options = loader_options(config, state.global_rows, data.processing.pad_id(),
                                               step::cost_model_of(*source.model));
  options.ranks = ranks;
  if (device.is_cuda()) options.pad_multiple = step::kGpuTokenGrain;
  objectives::set_loading(*opened.objective, static_cast<uint64_t>(args.seed), options);
  const plan::MemoryAdviser adviser(
      planned_run(loaded, *source.model, opened.objective, opened.open_references), device);
  auto choosing = std::async(std::launch::async, [&] {
    return adviser.choose({data.training, data.processing.processor, options});
  });
  step::TrainState trained;
  trained.networks.push_back(
      step::make_network(std::move(source.model),
                         network_options(loaded, micro_steps_of(args, state.global_rows), device),
                         initial_weights(source.folder, beginning.has_value())));
  trained.references = opened.open_references(device);
  const plan::Choice choice = choosing.get();
  if (!choice.notice.empty()) log::info(choice.notice);

  data::Loader loader(data.training, data.processing.processor, options);
  if (beginning) loader.restore(state.loader);
  if (beginning && state.fingerprints)
    check_data(*state.fingerprints, fingerprints.get(), loaded, beginning->checkpoint.path);
  make_schedules(trained, loaded, loader.total_steps());
  Saver saver(args, trained, side_files, opened.objective->checkpoint_config());
  if (beginning) saver.restore(*beginning);

  const kernels::Peak peak = kernels::peak_of(device, args.bf16 ? at::kBFloat16 : at::kFloat);
  step::ControlPlane control(*ranks);
  const RunParts parts{.loaded = loaded,
                       .trained = trained,
                       .objective = *opened.objective,
                       .loader = loader,
                       .data = data,
                       .exhibits = opened.exhibits,
                       .saver = saver,
                       .fingerprints = fingerprints,
                       .journal = journal,
                       .run_log = run_log,
                       .control = control,
                       .machine = Machine{peak.flops_per_second, control.count()},
                       .device = device,
                       .context = choice.context,
                       .adviser = adviser,
                       .memory = memory};
  const TableRows table = describe_run(parts, state, peak.source);
  log::info(render_table(table, terminal_columns(STDERR_FILENO, 120)));
  if (beginning) log::notice(fmt::format("going on from {}", beginning->checkpoint.path.string()));
  move_earlier_aside(loaded, beginning ? &beginning->checkpoint : nullptr);
  return run_loop(parts, state, start_record(parts, state, table));
}

}  // namespace lmms::train
