#include "train/saving.h"

#include <fmt/ranges.h>

#include <stdexcept>

#include "checkpoint/json_file.h"
#include "checkpoint/manifest.h"
#include "core/format.h"
#include "core/log.h"
#include "optim/metric_schedule_json.h"
#include "train/output_folder.h"

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
           s.metric_schedule ? optim::to_json(*s.metric_schedule) : nlohmann::json()},
          {"best", s.best ? train::to_json(*s.best) : nlohmann::json()},
          {"evaluation_due", s.evaluation_due},
          {"fingerprints", s.fingerprints ? train::to_json(*s.fingerprints) : nlohmann::json()},
          {"threads", s.threads},
          {"device", s.device},
          {"config", s.config}};
}

/// Throws where the value is no whole number of at least `least`.
int64_t integer_at_least(const nlohmann::json& j, const char* key, int64_t least) {
  const nlohmann::json& value = j.at(key);
  if (!value.is_number_integer() || value.get<int64_t>() < least) {
    throw std::invalid_argument(
        fmt::format("{} is {}; expected a whole number of at least {}", key, value.dump(), least));
  }
  return value.get<int64_t>();
}

RunState from_json(const nlohmann::json& j) {
  RunState s;
  s.step = integer_at_least(j, "step", 1);
  j.at("epoch").get_to(s.epoch);
  s.global_rows = integer_at_least(j, "global_rows", 1);
  s.loader = j.at("loader").dump();
  s.applied_updates = integer_at_least(j, "applied_updates", 0);
  s.skipped_in_a_row = integer_at_least(j, "skipped_in_a_row", 0);
  s.skipped_steps = integer_at_least(j, "skipped_steps", 0);
  if (j.contains("data")) s.data = data_statistics_from(j.at("data"));
  if (!j.at("metric_schedule").is_null())
    s.metric_schedule = optim::metric_schedule_from(j.at("metric_schedule"));
  if (const auto at = j.find("best"); at != j.end() && !at->is_null())
    s.best = best_state_from(*at);
  j.at("evaluation_due").get_to(s.evaluation_due);
  if (const auto at = j.find("fingerprints"); at != j.end() && !at->is_null())
    s.fingerprints = data_fingerprints_from(*at);
  j.at("threads").get_to(s.threads);
  j.at("device").get_to(s.device);
  j.at("config").get_to(s.config);
  return s;
}

/// The step of the best one so far.
std::optional<int64_t> best_checkpoint(const RunState& state) {
  if (!state.best || !state.best->checkpoint) return std::nullopt;
  return state.best->checkpoint->step;
}

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
    return from_json(values->at(step::kRunValue));
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

Saver::Saver(const TrainerArgs& args, step::TrainState& state,
             std::shared_ptr<const checkpoint::SideFiles> side_files, nlohmann::json config)
    : state_(state),
      files_(state, {.output = args.output_dir,
                     .saved_as = args.save_dtype ? scalar_type(*args.save_dtype)
                                 : args.bf16     ? at::kBFloat16
                                                 : at::kFloat,
                     .side_files = std::move(side_files),
                     .begin_with_average = args.ema.ema_resume_from_ema,
                     .config = std::move(config)}),
      output_(args.output_dir),
      save_total_limit_(args.save_total_limit) {}

std::optional<Beginning> Saver::find(const LoadedConfig& loaded) {
  const fs::path output = loaded.config.trainer.output_dir;
  checkpoint::remove_leftovers(output);
  for (const std::string& folder : model_folders()) checkpoint::remove_leftovers(output / folder);
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
    if (const auto limit = loaded.config.trainer.save_total_limit) {
      beginning->deleted = checkpoint::rotate_checkpoints(output, *limit, *newest,
                                                          best_checkpoint(beginning->state));
    }
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

void Saver::restore(const Beginning& beginning) {
  files_.restore(beginning.checkpoint);
  step::Network& main = state_.main();
  main.decision->set_counters(beginning.state.applied_updates, beginning.state.skipped_in_a_row);
  main.schedule->restore(beginning.state.metric_schedule);
}

Saved Saver::save(const RunState& state) {
  checkpoint::PendingCheckpoint pending(output_, state.step);
  files_.write(pending, state.step, to_json(state));
  Saved saved{pending.commit(), {}};
  if (const auto limit = save_total_limit_) {
    saved.deleted =
        checkpoint::rotate_checkpoints(output_, *limit, saved.checkpoint, best_checkpoint(state));
  }
  return saved;
}

std::optional<Fault> Saver::publish_checkpoint(int64_t step) const {
  const checkpoint::Checkpoint from{step, checkpoint::checkpoint_path(output_, step)};
  if (auto fault = checkpoint::incomplete(from.path, step)) return fault;
  if (auto damage = checkpoint::compare_with_manifest(from.path).damage) return damage;
  files_.publish(from);
  return std::nullopt;
}

}  // namespace lmms::train
