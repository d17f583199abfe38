#include "train/saving.h"

#include <fmt/ranges.h>

#include <stdexcept>

#include "checkpoint/hf_folder.h"
#include "checkpoint/hf_write.h"
#include "checkpoint/json_file.h"
#include "checkpoint/manifest.h"
#include "core/format.h"
#include "core/log.h"
#include "models/tensor_io.h"
#include "train/metric_schedule_json.h"
#include "train/model_setup.h"

namespace lmms::train {
namespace {

namespace fs = std::filesystem;

at::ScalarType scalar_type(NumberType type) {
  switch (type) {
    case NumberType::bfloat16:
      return at::kBFloat16;
    case NumberType::float16:
      return at::kHalf;
    case NumberType::float32:
      break;
  }
  return at::kFloat;
}

nlohmann::json to_json(const RunState& s) {
  return {{"step", s.step},
          {"epoch", s.epoch},
          {"global_rows", s.global_rows},
          {"loader", nlohmann::json::parse(s.loader)},
          {"applied_updates", s.applied_updates},
          {"skipped_in_a_row", s.skipped_in_a_row},
          {"skipped_steps", s.skipped_steps},
          {"data", train::to_json(s.data)},
          {"metric_schedule",
           s.metric_schedule ? train::to_json(*s.metric_schedule) : nlohmann::json()},
          {"evaluation_due", s.evaluation_due},
          {"fingerprints", s.fingerprints ? train::to_json(*s.fingerprints) : nlohmann::json()},
          {"threads", s.threads},
          {"device", s.device},
          {"config", s.config}};
}

/// Throws where the value is no whole number of at least `least`.
int64_t whole(const nlohmann::json& j, const char* key, int64_t least) {
  const nlohmann::json& value = j.at(key);
  if (!value.is_number_integer() || value.get<int64_t>() < least) {
    throw std::invalid_argument(
        fmt::format("{} is {}; expected a whole number of at least {}", key, value.dump(), least));
  }
  return value.get<int64_t>();
}

RunState from_json(const nlohmann::json& j) {
  RunState s;
  s.step = whole(j, "step", 1);
  j.at("epoch").get_to(s.epoch);
  s.global_rows = whole(j, "global_rows", 1);
  s.loader = j.at("loader").dump();
  s.applied_updates = whole(j, "applied_updates", 0);
  s.skipped_in_a_row = whole(j, "skipped_in_a_row", 0);
  s.skipped_steps = whole(j, "skipped_steps", 0);
  if (j.contains("data")) s.data = data_statistics_from(j.at("data"));
  if (!j.at("metric_schedule").is_null())
    s.metric_schedule = metric_schedule_from(j.at("metric_schedule"));
  j.at("evaluation_due").get_to(s.evaluation_due);
  if (const auto at = j.find("fingerprints"); at != j.end() && !at->is_null())
    s.fingerprints = data_fingerprints_from(*at);
  j.at("threads").get_to(s.threads);
  j.at("device").get_to(s.device);
  j.at("config").get_to(s.config);
  return s;
}

// Components of resume/.
constexpr const char* kRun = "run";
constexpr const char* kMasters = "masters";
constexpr const char* kFrozen = "frozen";
constexpr const char* kEma = "ema";
// The folder of the averaged model, beside the weights.
constexpr const char* kEmaFolder = "ema";

void move_aside_beyond(const fs::path& output, int64_t step) {
  for (const checkpoint::Checkpoint& old : checkpoint::find_checkpoints(output).complete) {
    if (old.step > step) log::notice("moved aside: " + checkpoint::moved_aside(old.path).string());
  }
}

/// The values of a checkpoint without its tensors.
Result<RunState> read_state(const checkpoint::Checkpoint& from) {
  const fs::path file = from.path / checkpoint::kResumeFolder / "state.json";
  const auto values = checkpoint::read_json_object(file);
  if (!values) return values.fault();
  try {
    return from_json(values->at(kRun));
  } catch (const std::exception& e) {
    return Fault{file.string(), std::string("is not the state of a run: ") + e.what(),
                 "copy the checkpoint again whole, or remove it"};
  }
}

/// Reads a complete checkpoint whole and compares it with its manifest.
Result<Beginning> verified(const checkpoint::Checkpoint& from) {
  const checkpoint::Comparison found = checkpoint::compare_with_manifest(from.path);
  if (found.damage) return *found.damage;
  auto state = read_state(from);
  if (!state) return state.fault();
  if (!found.has_checksums) {
    log::notice(
        fmt::format("{} was written by an earlier version, without checksums: whether its "
                    "bytes are those that were saved cannot be told",
                    from.path.string()));
  }
  if (!found.edited.empty()) {
    log::notice(fmt::format("{}: {}: no longer as saved; nothing of that is read to go on",
                            from.path.string(), fmt::join(found.edited, ", ")));
  }
  return Beginning{from, std::move(*state)};
}

}  // namespace

Saver::Saver(const LoadedConfig& loaded, Network& network,
             std::shared_ptr<const checkpoint::SideFiles> side_files)
    : loaded_(loaded),
      network_(network),
      side_files_(std::move(side_files)),
      output_(loaded.config.trainer.output_dir) {
  const TrainerArgs& args = loaded.config.trainer;
  saved_as_ = args.save_dtype ? scalar_type(*args.save_dtype)
              : args.bf16     ? at::kBFloat16
                              : at::kFloat;
}

std::optional<Beginning> Saver::find(const LoadedConfig& loaded) {
  const fs::path output = loaded.config.trainer.output_dir;
  checkpoint::remove_leftovers(output);
  checkpoint::remove_leftovers(output / kEmaFolder);
  const Resume& resume = loaded.config.trainer.resume_from_checkpoint;
  if (!resume.path.empty()) {
    const std::string where = loaded.where("trainer_args.resume_from_checkpoint");
    const fs::path path = fs::path(resume.path).lexically_normal();
    const std::string name = (path.has_filename() ? path : path.parent_path()).filename().string();
    int64_t step = -1;
    if (name.starts_with("checkpoint-")) step = std::atoll(name.c_str() + 11);
    if (const auto fault = checkpoint::incomplete(path, step))
      throw Error(where, fault->text(), fault->fix);
    auto beginning = verified({step, path});
    if (!beginning) throw Error(where, beginning.fault().text());
    move_aside_beyond(output, step);
    return std::move(*beginning);
  }
  if (!resume.automatic) {
    move_aside_beyond(output, -1);
    return std::nullopt;
  }
  const checkpoint::FoundCheckpoints found = checkpoint::find_checkpoints(output);
  for (const Fault& fault : found.ignored) log::warning("not gone on from " + fault.text());
  for (auto newest = found.complete.rbegin(); newest != found.complete.rend(); ++newest) {
    auto beginning = verified(*newest);
    if (!beginning) {
      log::warning("not gone on from " + beginning.fault().text());
      continue;
    }
    move_aside_beyond(output, newest->step);  // they are damaged
    // a kill may have come between the last save and its rotation
    if (const auto limit = loaded.config.trainer.save_total_limit)
      checkpoint::rotate_checkpoints(output, *limit, *newest);
    return std::move(*beginning);
  }
  if (!found.complete.empty() || found.own_ignored) {
    throw Error(output.string(),
                "none of its checkpoints can be gone on from, for the reasons named above",
                "copy one of them again whole, or train anew with "
                "trainer_args.resume_from_checkpoint=false");
  }
  return std::nullopt;
}

bool Saver::files_hold_masters() const {
  const TrainerArgs& args = loaded_.config.trainer;
  return saved_as_ == at::kFloat ||
         (args.bf16 && !args.master_weights && saved_as_ == at::kBFloat16);
}

bool Saver::files_hold_averages() const {
  return saved_as_ == at::kFloat;  // as they are
}

checkpoint::ResumeState Saver::resume_state(Beside beside,
                                            const std::function<RunState()>& state) const {
  checkpoint::ResumeState out;
  const nn::ParamTable& params = network_.model->params();
  const nn::ModelMemory& memory = network_.memory;
  const auto add = [&](const char* name, const models::FlatOf& flat) {
    out.add_tensors(name, models::slots(params, memory, flat));
  };
  if (beside.masters) add(kMasters, [&](size_t b) { return memory.buckets[b].masters(); });
  if (beside.frozen) {
    add(kFrozen, [&](size_t b) {
      return memory.buckets[b].layout().trainable ? at::Tensor() : memory.buckets[b].weights();
    });
  }
  if (beside.ema) {
    // a run that averages no more reads over them
    auto tensors = models::slots(params, memory, [&](size_t b) {
      if (network_.ema) return network_.ema->stored(b);
      const at::Tensor& masters = memory.buckets[b].masters();  // bf16 without masters of their own
      return masters.defined() ? masters.to(at::kFloat) : masters;
    });
    if (!network_.ema) {
      for (checkpoint::TensorSlot& slot : tensors) slot.load = [](std::span<const std::byte>) {};
    }
    out.add_tensors(kEma, std::move(tensors));
  }
  add("first_moment", [&](size_t b) { return network_.optimizer->first_moment(b); });
  add("second_moment", [&](size_t b) { return network_.optimizer->second_moment(b); });
  out.add_value(
      kRun, [state] { return to_json(state()); }, [](const nlohmann::json&) {});
  return out;
}

void Saver::restore(const Beginning& beginning) {
  const checkpoint::Checkpoint& from = beginning.checkpoint;
  // weights first: what the resume files add is at least as exact
  const checkpoint::TensorIndex weights = checkpoint::open_weights(from.path).take();
  models::load_weights(network_.model->params(), network_.memory, weights, from.path.string());
  // which they are is the checkpoint's to say: bf16 and save_dtype may be others now
  const fs::path resume = from.path / checkpoint::kResumeFolder;
  const auto holds = [&](const std::string& name) {
    return fs::exists(resume / (name + ".safetensors"));
  };
  resume_state({holds(kMasters), holds(kFrozen), holds(kEma)}, [] {
    return RunState{};
  }).load(resume);
  for (parallel::Bucket& bucket : network_.memory.buckets) {
    if (bucket.masters().defined() && !bucket.masters().is_same(bucket.weights())) {
      bucket.weights().copy_(bucket.masters());
    }
  }
  refuse_not_finite(network_, from.path, "delete this checkpoint to go on from the one before it");
  network_.optimizer->set_counters(beginning.state.applied_updates,
                                   beginning.state.skipped_in_a_row);
  if (network_.ema) restore_ema(from);
}

void Saver::restore_ema(const checkpoint::Checkpoint& from) {
  const fs::path folder = from.path / kEmaFolder;
  if (!fs::exists(folder)) {
    log::notice(fmt::format("{} has no average: it begins with the weights of step {}",
                            from.path.string(), from.step));
    network_.ema->copy_from_weights();
    return;
  }
  if (!fs::exists(from.path / checkpoint::kResumeFolder / (std::string(kEma) + ".safetensors"))) {
    // the averaged model itself is exact
    const auto files = checkpoint::open_weights(folder).take();
    for (const checkpoint::TensorSlot& slot :
         models::slots(network_.model->params(), network_.memory,
                       [&](size_t b) { return network_.ema->stored(b); })) {
      const checkpoint::TensorView* view = files.find(slot.name);
      if (view == nullptr || view->dtype != slot.dtype || view->shape != slot.shape) {
        throw Error(folder.string(), slot.name + " is missing, or of another type or shape",
                    "delete this checkpoint to go on from the one before it");
      }
      slot.load(view->bytes);
    }
  }
  if (loaded_.config.trainer.ema.ema_resume_from_ema) {
    log::notice("the weights go on as their average: ema_resume_from_ema");
    network_.ema->copy_to_weights();
  }
}

models::FlatOf Saver::weights() const {
  // fp32 files come from the masters, all others from what the forward reads
  return [this, exact = files_hold_masters()](size_t b) {
    const parallel::Bucket& bucket = network_.memory.buckets[b];
    return exact && bucket.masters().defined() ? bucket.masters() : bucket.weights();
  };
}

models::FlatOf Saver::averages(int64_t step) const {
  return [this, step, weights = weights()](size_t b) {
    const at::Tensor average = network_.ema->average(b, step);
    return average.defined() ? average : weights(b);
  };
}

checkpoint::FileSums Saver::write_model(const fs::path& folder,
                                        const models::FlatOf& weights) const {
  if (const auto name =
          models::first_not_finite(network_.model->params(), network_.memory, weights, saved_as_)) {
    const bool half = saved_as_ == at::kHalf;
    throw Error(output_.string(),
                fmt::format("{} holds a NaN or an infinity{}: the model is not saved", *name,
                            half ? ", or a number beyond float16" : ""),
                half ? "take another trainer_args.save_dtype"
                     : "go on from the last checkpoint with a lower trainer_args.learning_rate",
                Exit::failed);
  }
  checkpoint::ModelFiles files;
  files.config = checkpoint::with_dtype(network_.model->config(), models::dtype_of(saved_as_));
  files.side_files = side_files_;
  files.tensors = models::sources(network_.model->params(), network_.memory, weights, saved_as_);
  return checkpoint::write_model(folder, files);
}

checkpoint::Checkpoint Saver::save(const RunState& state) {
  checkpoint::PendingCheckpoint pending(output_, state.step);
  pending.add(write_model(pending.path(), weights()));
  if (network_.ema) {
    fs::create_directories(pending.path() / kEmaFolder);
    pending.add(write_model(pending.path() / kEmaFolder, averages(state.step)));
  }
  Beside beside;
  beside.masters = !files_hold_masters();
  beside.frozen =  // frozen weights have no masters
      network_.memory.buckets.front().layout().dtype != saved_as_ && !files_hold_masters();
  beside.ema = network_.ema != nullptr && !files_hold_averages();
  pending.add(resume_state(beside, [&] { return state; }).save(pending.resume_path()));
  const checkpoint::Checkpoint done = pending.commit();
  if (const auto limit = loaded_.config.trainer.save_total_limit)
    checkpoint::rotate_checkpoints(output_, *limit, done);
  return done;
}

void Saver::publish(int64_t step) {
  const auto publish = [this](const fs::path& to, const models::FlatOf& weights) {
    checkpoint::publish_model(to, [&](const fs::path& folder) { write_model(folder, weights); });
  };
  publish(output_, weights());
  const fs::path ema = output_ / kEmaFolder;
  if (network_.ema) {
    publish(ema, averages(step));
  } else if (fs::exists(ema)) {
    log::notice("of an older run, moved aside: " + checkpoint::moved_aside(ema).string());
  }
}

}  // namespace lmms::train
