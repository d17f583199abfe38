#include "train/run_loop.h"

#include <ATen/ops/empty.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstring>

#include "core/format.h"
#include "core/log.h"
#include "kernels/device.h"
#include "train/device_batch.h"
#include "train/evaluation.h"

namespace lmms::train {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_between(Clock::time_point from, Clock::time_point to) {
  return std::chrono::duration<double>(to - from).count();
}

int64_t steps_or_throw(const LoadedConfig& loaded, const char* key, double value,
                       std::optional<int64_t> total) {
  if (value < 1 && !total) {
    throw Error(loaded.where(std::string("trainer_args.") + key),
                "a share of all steps, and with packing their number is not known",
                "give steps, or set trainer_args.max_steps");
  }
  return steps_of(value, total.value_or(0));
}

/// What of a step waits to be read from the device.
struct PendingRow {
  StepMetrics row;
  at::Tensor control;  // a copy on the host, complete once `copied` is reached
  std::shared_ptr<void> copied;
  double progress = 0;
};

class Loop {
 public:
  Loop(const RunParts& parts, RunState& state)
      : parts_(parts),
        state_(state),
        args_(parts.loaded.config.trainer),
        total_(parts.loader.total_steps()),
        rhythm_(rhythm_of(parts.loaded, total_)),
        runner_(plain_runner()),
        metrics_(args_.output_dir, state.step),
        progress_(!args_.disable_tqdm),
        saved_at_(state.step) {
    context_.recompute = args_.gradient_checkpointing == GradientCheckpointing::on;
  }

  Exit run() {
    if (parts_.data.evaluation && args_.eval_on_start && state_.step == 0) evaluate_now();
    started_ = last_read_ = Clock::now();
    progress_at_start_ = -1;
    for (;;) {
      const auto wait_from = Clock::now();
      std::optional<data::StepBatch> batch = parts_.loader.next();
      if (!batch) break;
      const double waited = seconds_between(wait_from, Clock::now());
      if (progress_at_start_ < 0) progress_at_start_ = batch->progress_before;
      train(*batch, waited);
      const bool epoch_ended = std::floor(batch->epoch + 1e-9) > std::floor(epoch_ + 1e-9);
      epoch_ = batch->epoch;
      const int64_t step = batch->step;
      const auto due = [&](int64_t every, bool epochs) {
        return (every > 0 && step % every == 0) || (epochs && epoch_ended);
      };
      const bool stop = signals_.received() != 0;
      if (due(rhythm_.evaluate, rhythm_.evaluate_epochs) && parts_.data.evaluation && !stop)
        evaluate_now();
      if (due(rhythm_.save, rhythm_.save_epochs) || stop) save_now();
      if (stop) return interrupted();
    }
    return finish();
  }

 private:
  void train(const data::StepBatch& batch, double waited) {
    PendingRow pending;
    pending.progress = batch.progress;
    StepMetrics& row = pending.row;
    row.step = batch.step;
    row.epoch = batch.epoch;
    row.tokens = batch.tokens;
    row.supervised_tokens = batch.supervised_tokens;
    row.samples = batch.samples;
    row.data_wait_seconds = waited;
    row.skipped_samples = batch.skipped.total();
    row.learning_rate = parts_.schedule(batch.step - 1, batch.progress_before);
    state_.step = batch.step;
    state_.tokens += batch.tokens;
    last_ = batch.snapshot;

    const models::Model& model = *parts_.network.model;
    if (batch.supervised_tokens ==
        0) {  // every record of the step was skipped: nothing to learn from
      row.skipped = true;
      read_pending();
      write(pending);
      return;
    }
    std::vector<nn::Batch> micro_steps;
    for (const data::Batch& micro : batch.micro_steps) {
      if (micro.supervised_tokens == 0) continue;
      std::vector<int64_t> lengths;
      for (const data::Segment& s : micro.segments) lengths.push_back(s.length);
      const models::Workload work{lengths, micro.supervised_tokens};
      row.flops += model.train_flops(work);
      row.lmms_engine_flops += model.lmms_engine_flops(work);
      micro_steps.push_back(to_device(micro, denominator(batch, micro),
                                      model.language_model()->vocab_size(), parts_.device));
    }
    train_step(parts_.network, parts_.objective, *runner_, micro_steps, context_,
               row.learning_rate);
    pending.control = on_host(parts_.network.optimizer->control_bytes());
    pending.copied = kernels::record_event(parts_.device);
    // On a GPU the numbers of a step are read while the next one runs.
    if (parts_.device.is_cuda()) {
      std::optional<PendingRow> before = std::exchange(pending_, std::nullopt);
      pending_ = std::move(pending);
      if (before) read(std::move(*before));
    } else {
      read(std::move(pending));
    }
  }

  // Of the loss: all supervised tokens of the step; under compat: loss those of the micro-step,
  // times the micro-steps.
  double denominator(const data::StepBatch& batch, const data::Batch& micro) const {
    if (!parts_.loaded.config.compat.loss) return static_cast<double>(batch.supervised_tokens);
    return static_cast<double>(micro.supervised_tokens) *
           static_cast<double>(batch.micro_steps.size());
  }

  static at::Tensor on_host(const at::Tensor& bytes) {
    at::Tensor host = at::empty(
        bytes.sizes(), at::TensorOptions().dtype(at::kByte).pinned_memory(bytes.is_cuda()));
    host.copy_(bytes, /*non_blocking=*/true);
    return host;
  }

  void read_pending() {
    if (pending_) read(*std::exchange(pending_, std::nullopt));
  }

  void read(PendingRow pending) {
    kernels::wait_event(pending.copied);
    kernels::AdamwControl control;
    std::memcpy(&control, pending.control.const_data_ptr(), sizeof(control));
    StepMetrics& row = pending.row;
    row.loss = control.loss;
    row.grad_norm = control.norm;
    row.skipped = control.skip != 0;
    state_.applied_updates = control.applied;
    state_.skipped_in_a_row = control.skipped_in_a_row;
    if (row.skipped) {
      ++state_.skipped_steps;
      log::warning(
          fmt::format("step {}: loss {} and gradient norm {} are not both finite; the update is "
                      "skipped ({} in a row)",
                      row.step, row.loss, row.grad_norm, control.skipped_in_a_row));
    }
    write(pending);
    if (control.skipped_in_a_row > 0 && control.skipped_in_a_row >= args_.max_skipped_steps) {
      throw Error(fmt::format("step {}", row.step),
                  fmt::format("{} steps in a row had a non-finite loss or gradient; the run ends, "
                              "weights are those of the last good "
                              "step",
                              control.skipped_in_a_row),
                  "lower trainer_args.learning_rate or look at the data of these steps; "
                  "trainer_args.max_skipped_steps sets the limit",
                  Exit::failed);
    }
  }

  void write(PendingRow& pending) {
    StepMetrics& row = pending.row;
    const auto now = Clock::now();
    row.step_seconds = seconds_between(std::exchange(last_read_, now), now);
    row.peak_memory_bytes = kernels::peak_memory_bytes(parts_.device);
    if (row.step % rhythm_.log == 0 || (rhythm_.log_first && row.step == 1))
      metrics_.write(to_json_line(row, parts_.machine));

    ProgressLine line;
    line.step = row.step;
    line.total_steps = total_;
    line.done = pending.progress;
    line.loss = row.loss;
    line.tokens_per_second = static_cast<double>(row.tokens) / row.step_seconds;
    line.mfu = row.flops / (parts_.machine.peak_flops_per_second * row.step_seconds);
    line.memory_bytes = row.peak_memory_bytes;
    const double gained = pending.progress - progress_at_start_;
    if (gained > 0)
      line.seconds_left = seconds_between(started_, now) * (1 - pending.progress) / gained;
    progress_.update(line);
  }

  void evaluate_now() {
    read_pending();
    const EvaluationResult result =
        evaluate(*parts_.network.model, parts_.objective, parts_.data.evaluation,
                 parts_.data.processor, parts_.data.evaluation_options, parts_.device);
    evaluated_at_ = state_.step;
    metrics_.write(to_json_line(result, state_.step, epoch_));
    log::info(fmt::format("step {}: eval_loss {:.4f} over {} supervised tokens of {} samples ({})",
                          state_.step, result.loss, result.supervised_tokens, result.samples,
                          text_of_seconds(result.seconds)));
    last_read_ = Clock::now();
  }

  void save_now() {
    read_pending();
    data::StepBatch last;
    last.snapshot = last_;
    state_.loader = last.state();
    parts_.saver.save(state_);
    saved_at_ = state_.step;
    last_read_ = Clock::now();
  }

  Exit interrupted() {
    progress_.finish();
    log::notice(
        fmt::format("interrupted by signal {}; saved step {}, the same command goes on from there",
                    signals_.received(), state_.step));
    return Exit::interrupted;
  }

  Exit finish() {
    read_pending();
    if (parts_.data.evaluation && evaluated_at_ != state_.step && args_.eval_strategy != Every::no)
      evaluate_now();
    if (args_.save_strategy != Every::no && saved_at_ != state_.step && last_) save_now();
    parts_.saver.publish();
    progress_.finish();
    return Exit::done;
  }

  const RunParts& parts_;
  RunState& state_;
  const TrainerArgs& args_;
  std::optional<int64_t> total_;
  Rhythm rhythm_;
  std::unique_ptr<StepRunner> runner_;
  nn::RunContext context_;
  MetricsFile metrics_;
  Progress progress_;
  StopSignals signals_;
  std::optional<PendingRow> pending_;
  std::shared_ptr<const data::LoaderSnapshot>
      last_;  // where the loader goes on after the last step
  double epoch_ = 0, progress_at_start_ = -1;
  int64_t evaluated_at_ = -1, saved_at_;
  Clock::time_point started_, last_read_;
};

}  // namespace

Rhythm rhythm_of(const LoadedConfig& loaded, std::optional<int64_t> total_steps) {
  const TrainerArgs& args = loaded.config.trainer;
  Rhythm r;
  if (args.logging_strategy == Every::steps)
    r.log = steps_or_throw(loaded, "logging_steps", args.logging_steps, total_steps);
  r.log_first = args.logging_first_step;
  if (args.save_strategy == Every::steps)
    r.save = steps_or_throw(loaded, "save_steps", args.save_steps, total_steps);
  r.save_epochs = args.save_strategy == Every::epoch;
  if (args.eval_strategy == Every::steps) {
    r.evaluate = steps_or_throw(loaded, "eval_steps", args.eval_steps.value_or(args.logging_steps),
                                total_steps);
  }
  r.evaluate_epochs = args.eval_strategy == Every::epoch;
  return r;
}

Exit run_loop(const RunParts& parts, RunState& state) {
  return Loop(parts, state).run();
}

}  // namespace lmms::train
