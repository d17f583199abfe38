#include "train/final_model.h"

#include "checkpoint/finished.h"
#include "core/format.h"
#include "core/log.h"

namespace lmms::train {
namespace {

/// Copies the best checkpoint's; nothing if that is not to be had, or is the last step's.
std::optional<int64_t> publish_best(const Saver& saver, const RunState& state) {
  const BestState& known = state.best.value();
  const std::string& field = known.metric.field;
  const std::optional<Evaluated>& best = known.checkpoint;
  if (!best) {
    log::warning(
        fmt::format("no checkpoint has a finite {}: the final model is that of the last "
                    "step",
                    field));
    return std::nullopt;
  }
  if (best->step == state.step) {
    log::notice(fmt::format("the final model is that of the last step, {}, the best by {}: {:.6g}",
                            best->step, field, best->value));
    return std::nullopt;
  }
  if (const auto fault = saver.publish_checkpoint(best->step)) {
    log::warning(
        fmt::format("the best checkpoint cannot be read, so that the final model is that "
                    "of the last step: {}",
                    fault->text()));
    return std::nullopt;
  }
  log::notice(
      fmt::format("the final model is that of checkpoint-{}, the best by {}: {:.6g} (the "
                  "last step is {})",
                  best->step, field, best->value, state.step));
  return best->step;
}

}  // namespace

std::optional<int64_t> publish_final_model(const Saver& saver, const TrainerArgs& args,
                                           const RunState& state) {
  std::optional<int64_t> other;
  if (args.best.load_best_model_at_end) other = publish_best(saver, state);
  if (!other) saver.publish(state.step);
  return other;
}

bool holds_final_model(const TrainerArgs& args, const RunState& state) {
  const std::optional<int64_t> other = checkpoint::finished_model_step(args.output_dir);
  if (!args.best.load_best_model_at_end) return !other;
  if (!state.best || !state.best->checkpoint) return true;  // no better one is known
  return other.value_or(state.step) == state.best->checkpoint->step;
}

}  // namespace lmms::train
