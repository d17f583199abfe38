#include "step/state_files.h"

#include <c10/util/Exception.h>

#include <nlohmann/json.hpp>
#include <set>

#include "checkpoint/hf_folder.h"
#include "checkpoint/hf_write.h"
#include "core/error.h"
#include "core/files.h"
#include "core/format.h"
#include "core/log.h"
#include "optim/metric_schedule_json.h"

namespace lmms::step {
namespace {

namespace fs = std::filesystem;

// Components of resume/, beside kRunValue and the optimisers' states.
constexpr const char* kNetworks = "networks";
constexpr const char* kMasters = "masters";
constexpr const char* kFrozen = "frozen";
constexpr const char* kEma = "ema";

std::string component(const Network& network, const std::string& name) {
  return network.saved_in.empty() ? name : network.name + "-" + name;
}

/// Where a network's own folder is in that of the first.
fs::path folder_in(const fs::path& parent, const Network& network) {
  return network.saved_in.empty() ? parent : parent / network.saved_in;
}

/// Publishes the files of a model's folder; not the folders in it.
void copy_model(const fs::path& model, const fs::path& to) {
  checkpoint::publish_model(to, [&](const fs::path& staging) {
    for (const fs::directory_entry& entry : fs::directory_iterator(model)) {
      if (!entry.is_regular_file()) continue;
      const MappedFile file = MappedFile::open(entry.path()).take();
      OutputFile copy(staging / entry.path().filename());
      copy.write(file.bytes());
      copy.close();
    }
  });
}

bool holds(const checkpoint::Checkpoint& from, const std::string& component) {
  return fs::exists(from.path / checkpoint::kResumeFolder / (component + ".safetensors"));
}

void check_names(const TrainState& state) {
  std::set<std::string> folders{kEmaFolder, checkpoint::kResumeFolder};
  std::set<std::string> components{kRunValue, kNetworks};
  for (const Network& network : state.networks) {
    TORCH_INTERNAL_ASSERT(network.saved_in.empty() == (&network == &state.main()), "network '",
                          network.name, "' is saved in '", network.saved_in,
                          "'; the checkpoint itself is the first one's");
    TORCH_INTERNAL_ASSERT(folders.insert(network.saved_in).second, "network '", network.name,
                          "' is saved in '", network.saved_in, "', which is taken");
    std::vector<std::string> names{kMasters, kFrozen, kEma};
    for (const optim::OptimizerState& s : network.optimizer->states()) names.push_back(s.name);
    for (const std::string& name : names) {
      TORCH_INTERNAL_ASSERT(components.insert(component(network, name)).second, "network '",
                            network.name, "' keeps two states named '", component(network, name),
                            "'");
    }
  }
}

/// Of a network but the first.
nlohmann::json values_of(const Network& network) {
  TORCH_INTERNAL_ASSERT(network.schedule, "network '", network.name, "' has no schedule");
  const kernels::StepControl control = network.decision->control();
  const auto schedule = network.schedule->state();
  return {{"applied_updates", control.applied},
          {"skipped_in_a_row", control.skipped_in_a_row},
          {"metric_schedule", schedule ? optim::to_json(*schedule) : nlohmann::json()}};
}

void set_values(Network& network, const nlohmann::json& values) {
  TORCH_INTERNAL_ASSERT(network.schedule, "network '", network.name,
                        "' is restored before its schedule is made");
  network.decision->set_counters(values.at("applied_updates"), values.at("skipped_in_a_row"));
  const nlohmann::json& schedule = values.at("metric_schedule");
  if (!schedule.is_null()) network.schedule->restore(optim::metric_schedule_from(schedule));
}

}  // namespace

std::vector<std::string> model_folders(std::span<const std::string> saved_in) {
  std::vector<std::string> out(saved_in.begin(), saved_in.end());
  for (const std::string& folder : saved_in)
    out.push_back((fs::path(folder) / kEmaFolder).string());
  return out;
}

StateFiles::StateFiles(TrainState& state, FileOptions options)
    : state_(state), options_(std::move(options)) {
  check_names(state);
}

bool StateFiles::files_hold_masters(const Network& network) const {
  if (options_.saved_as == at::kFloat) return true;
  for (const parallel::Bucket& bucket : network.memory.buckets) {
    const parallel::BucketLayout& layout = bucket.layout();
    if (layout.key.trainable &&
        (layout.key.dtype != options_.saved_as || bucket.local().masters.defined()))
      return false;
  }
  return true;
}

StateFiles::Beside StateFiles::beside_files(const Network& network) const {
  Beside out;
  out.masters = !files_hold_masters(network);
  out.frozen =  // frozen weights have no masters
      network.memory.buckets.front().layout().key.dtype != options_.saved_as && out.masters;
  out.ema = network.ema != nullptr && options_.saved_as != at::kFloat;  // fp32 files: as they are
  return out;
}

void StateFiles::register_network(checkpoint::ResumeState& out, Network& network,
                                  Beside beside) const {
  const nn::ParamTable& params = network.model->params();
  const std::vector<parallel::Bucket>& buckets = network.memory.buckets;
  const auto slots = [&](const models::FlatOf& flat) {
    return models::slots(params, network.memory, flat);
  };
  if (beside.masters) {
    out.add_tensors(component(network, kMasters), slots([&](size_t b) {
                      return buckets[b].layout().key.trainable ? buckets[b].local().exact()
                                                               : at::Tensor();
                    }));
  }
  if (beside.frozen) {
    out.add_tensors(component(network, kFrozen), slots([&](size_t b) {
                      return buckets[b].layout().key.trainable ? at::Tensor()
                                                               : buckets[b].local().weights;
                    }));
  }
  if (beside.ema) {
    // a run that averages no more reads over them
    auto tensors = slots([&](size_t b) {
      if (network.ema) return network.ema->stored(b);
      return buckets[b].layout().key.trainable ? buckets[b].local().exact().to(at::kFloat)
                                               : at::Tensor();
    });
    if (!network.ema) {
      for (checkpoint::TensorSlot& slot : tensors) slot.load = [](std::span<const std::byte>) {};
    }
    out.add_tensors(component(network, kEma), std::move(tensors));
  }
  for (const optim::OptimizerState& state : network.optimizer->states()) {
    out.add_tensors(component(network, state.name),
                    slots([&](size_t b) { return state.flats.at(b); }));
  }
}

void StateFiles::register_values(checkpoint::ResumeState& out, const nlohmann::json& run) const {
  out.add_value(
      kRunValue, [&run] { return run; }, [](const nlohmann::json&) {});
  if (state_.networks.size() < 2) return;
  out.add_value(
      kNetworks,
      [this] {
        nlohmann::json values = nlohmann::json::object();
        for (size_t i = 1; i < state_.networks.size(); ++i)
          values[state_.networks[i].name] = values_of(state_.networks[i]);
        return values;
      },
      [this](const nlohmann::json& values) {
        for (size_t i = 1; i < state_.networks.size(); ++i)
          set_values(state_.networks[i], values.at(state_.networks[i].name));
      });
}

models::FlatOf StateFiles::weights(const Network& network) const {
  // fp32 files come from the masters, all others from what the forward reads
  return [&network, exact = files_hold_masters(network)](size_t b) {
    const parallel::Local& local = network.memory.buckets[b].local();
    return exact ? local.exact() : local.weights;
  };
}

models::FlatOf StateFiles::averages(const Network& network, int64_t step) const {
  return [&network, step, weights = weights(network)](size_t b) {
    const at::Tensor average = network.ema->average(b, step);
    return average.defined() ? average : weights(b);
  };
}

checkpoint::FileSums StateFiles::write_model(const fs::path& folder, const Network& network,
                                             const models::FlatOf& weights) const {
  const nn::ParamTable& params = network.model->params();
  if (const auto name =
          models::first_not_finite(params, network.memory, weights, options_.saved_as)) {
    const bool half = options_.saved_as == at::kHalf;
    throw Error(options_.output.string(),
                fmt::format("{}{} holds a NaN or an infinity{}: the model is not saved",
                            state_.message_prefix(network), *name,
                            half ? ", or a number beyond float16" : ""),
                half ? "take another trainer_args.save_dtype"
                     : "go on from the last checkpoint with a lower trainer_args.learning_rate",
                Exit::failed);
  }
  fs::create_directories(folder);
  checkpoint::ModelFiles files;
  nlohmann::json config = network.model->config();
  if (&network == &state_.main()) config.merge_patch(options_.config);
  files.config = checkpoint::with_dtype(config, models::dtype_of(options_.saved_as));
  files.side_files = options_.side_files;
  files.tensors = models::sources(params, network.memory, weights, options_.saved_as);
  return checkpoint::write_model(folder, files);
}

void StateFiles::write(checkpoint::PendingCheckpoint& to, int64_t step,
                       const nlohmann::json& run) const {
  checkpoint::ResumeState resume;
  for (Network& network : state_.networks) {
    const fs::path folder = folder_in(to.path(), network);
    to.add(write_model(folder, network, weights(network)));
    if (network.ema) to.add(write_model(folder / kEmaFolder, network, averages(network, step)));
    register_network(resume, network, beside_files(network));
  }
  register_values(resume, run);
  to.add(resume.save(to.resume_path()));
}

void StateFiles::restore(const checkpoint::Checkpoint& from) {
  const nlohmann::json no_run;
  checkpoint::ResumeState resume;
  for (Network& network : state_.networks) {
    // weights first: what the resume files add is at least as exact
    const fs::path folder = folder_in(from.path, network);
    const checkpoint::TensorIndex weights = checkpoint::open_weights(folder).take();
    models::load_weights(network.model->params(), network.memory, weights, folder.string());
    // which they are is the checkpoint's to say: bf16 and save_dtype may be others now
    register_network(
        resume, network,
        {holds(from, component(network, kMasters)), holds(from, component(network, kFrozen)),
         holds(from, component(network, kEma))});
  }
  register_values(resume, no_run);
  resume.load(from.path / checkpoint::kResumeFolder);
  for (Network& network : state_.networks) {
    for (const parallel::Bucket& bucket : network.memory.buckets) {
      const parallel::Local& local = bucket.local();
      if (local.masters.defined()) local.weights.copy_(local.masters);
    }
    refuse_not_finite(network, folder_in(from.path, network),
                      "delete this checkpoint to go on from the one before it");
    if (network.ema) restore_ema(network, from);
  }
}

void StateFiles::restore_ema(Network& network, const checkpoint::Checkpoint& from) const {
  const fs::path folder = folder_in(from.path, network) / kEmaFolder;
  if (!fs::exists(folder)) {
    log::notice(fmt::format("{} has no average: it begins with the weights of step {}",
                            folder_in(from.path, network).string(), from.step));
    network.ema->copy_from_weights();
    return;
  }
  if (!holds(from, component(network, kEma))) {
    // the averaged model itself is exact
    const auto files = checkpoint::open_weights(folder).take();
    for (const checkpoint::TensorSlot& slot :
         models::slots(network.model->params(), network.memory,
                       [&](size_t b) { return network.ema->stored(b); })) {
      const checkpoint::TensorView* view = files.find(slot.name);
      if (view == nullptr || view->dtype != slot.dtype || view->shape != slot.shape) {
        throw Error(folder.string(), slot.name + " is missing, or of another type or shape",
                    "delete this checkpoint to go on from the one before it");
      }
      slot.load(view->bytes);
    }
  }
  if (options_.begin_with_average) {
    log::notice("the weights go on as their average: ema_resume_from_ema");
    network.ema->copy_to_weights();
  }
}

void StateFiles::publish(int64_t step) const {
  const auto publish = [&](const fs::path& to, const Network& network,
                           const models::FlatOf& weights) {
    checkpoint::publish_model(
        to, [&](const fs::path& folder) { write_model(folder, network, weights); });
  };
  for (const Network& network : state_.networks) {
    const fs::path folder = folder_in(options_.output, network);
    publish(folder, network, weights(network));
    const fs::path ema = folder / kEmaFolder;
    if (network.ema) {
      publish(ema, network, averages(network, step));
    } else {
      move_old_average_aside(ema);
    }
  }
}

void StateFiles::publish(const checkpoint::Checkpoint& from) const {
  for (const Network& network : state_.networks) {
    const fs::path model = folder_in(from.path, network);
    const fs::path to = folder_in(options_.output, network);
    copy_model(model, to);
    if (network.ema && fs::exists(model / kEmaFolder)) {
      copy_model(model / kEmaFolder, to / kEmaFolder);
    } else {
      move_old_average_aside(to / kEmaFolder);
    }
  }
}

void StateFiles::move_old_average_aside(const fs::path& ema) const {
  if (fs::exists(ema))
    log::notice("of an older run, moved aside: " + checkpoint::moved_aside(ema).string());
}

}  // namespace lmms::step
