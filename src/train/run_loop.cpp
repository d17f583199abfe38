#include "train/run_loop.h"

#include <ATen/ops/empty.h>
#include <c10/util/Exception.h>

#include <chrono>
#include <cmath>
#include <cstring>
#include <limits>
#include <nlohmann/json.hpp>

#include "core/format.h"
#include "core/log.h"
#include "data/loader_state.h"
#include "kernels/device.h"
#include "train/batch_text.h"
#include "train/evaluation.h"
#include "train/finished.h"
#include "train/generation/answers.h"
#include "train/profile/profiler.h"
#include "train/recorder.h"
#include "train/step_work.h"

namespace lmms::train {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_between(Clock::time_point from, Clock::time_point to) {
  return std::chrono::duration<double>(to - from).count();
}

Rhythm::Beat beat(const LoadedConfig& loaded, Every strategy, const char* key, double value,
                  std::optional<int64_t> total) {
  if (strategy != Every::steps) return {0, strategy == Every::epoch};
  if (value < 1 && !total) {
    throw Error(loaded.where(std::string("trainer_args.") + key),
                "a share of all steps, and with packing their number is not known",
                "give steps, or set trainer_args.max_steps");
  }
  return {steps_of(value, total.value_or(0)), false};
}

/// What of a step waits to be read from the device.
struct PendingRow {
  StepMetrics row;
  StepWork work;       // kept until the device is through with it
  at::Tensor control;  // a copy on the host, complete once `copied` is reached
  std::shared_ptr<void> copied;
  std::shared_ptr<void> previous;  // the same of the step before, where this one followed at once
  double progress = 0;
  bool logged = false;             // goes into metrics.jsonl
  Clock::time_point begun, ended;  // of the step, the wait for its data included
};

class Loop {
 public:
  Loop(const RunParts& parts, RunState& state)
      : parts_(parts),
        state_(state),
        context_(parts.context),
        args_(parts.loaded.config.trainer),
        total_(parts.loader.total_steps()),
        rhythm_(rhythm_of(parts.loaded, total_)),
        runner_(plain_runner()),
        recorder_(args_, state.step, state.evaluation_due, parts.journal),
        progress_(!args_.disable_tqdm),
        evaluated_at_(recorder_.last_evaluation()),
        saved_at_(state.step) {
    if (args_.enable_profiler) profiler_.emplace(args_, parts.device);
  }

  Exit run(const nlohmann::json& start) {
    std::optional<data::StepBatch> batch = next();
    if (!batch && finished_steps(args_.output_dir) == state_.step) {
      log::notice(fmt::format("{} holds the model of all {} steps: the run is finished",
                              args_.output_dir, state_.step));
      return Exit::done;
    }
    mark_begun(args_.output_dir, state_.config);
    try {
      recorder_.begin(start);
      log::info(recorder_.pointers().front());
      return go_on(std::move(batch));
    } catch (const std::exception& e) {
      keep_last_row();
      record_data(/*now=*/true);
      recorder_.end(RunEnd::failed, e.what());
      throw;
    }
  }

 private:
  Exit go_on(std::optional<data::StepBatch> batch) {
    if (evaluates() && args_.eval_on_start && state_.step == 0) evaluate_now();
    if (evaluates() && state_.evaluation_due) evaluate_on_time();
    started_ = Clock::now();
    progress_at_start_ = batch ? batch->progress_before : 1;
    for (; batch && !stopped(); batch = next()) {
      if (profiler_) profiler_->before(batch->step);
      train(*batch);
      if (profiler_) profiler_->after(batch->step);
      if (evaluates() && due(rhythm_.evaluate)) evaluate_on_time();
      if (due(rhythm_.save)) save_now();
    }
    if (profiler_) profiler_->close();
    return stopped() ? interrupted() : finish();
  }

  /// What `read` returns, which reads data and changes nothing of the training. Its Error ends the
  /// run, but must not cost the steps since the last save.
  template <class Read>
  auto keeping_steps(const Read& read) {
    try {
      return read();
    } catch (const Error&) {
      save_before_the_end();
      throw;
    }
  }

  void save_before_the_end() {
    if (saved_at_ == state_.step) return;
    const int64_t before = saved_at_;
    try {
      save_now();
      log::notice(fmt::format(
          "saved step {}: the run can go on from there once what follows is mended", state_.step));
    } catch (const std::exception& e) {  // the failure that came first is the one to tell
      log::warning(fmt::format("the steps after {} could not be saved: {}", before, e.what()));
    }
  }

  /// As keeping_steps, for a forward on the device: one that finds no memory is tried once more.
  template <class Forward>
  auto evaluating(const Forward& forward) {
    for (bool again = false;; again = true) {
      try {
        return keeping_steps(forward);
      } catch (const c10::OutOfMemoryError& e) {
        if (again) {
          save_before_the_end();
          throw Error(fmt::format("step {}", state_.step),
                      std::string("an evaluation finds no memory on the device: ") +
                          e.what_without_backtrace(),
                      "lower trainer_args.per_device_eval_batch_size, or limit samples by "
                      "dataset_config.max_length (packing_length is no limit in evaluation)",
                      Exit::failed);
        }
      }
      kernels::release_unused_memory(parts_.device);
    }
  }

  /// Whether an evaluation has something to do.
  bool evaluates() const { return parts_.data.evaluation.dataset || parts_.questions; }

  std::optional<data::StepBatch> next() {
    const auto from = Clock::now();
    auto batch = keeping_steps([this] { return parts_.loader.next(); });
    waited_ = Clock::now() - from;
    return batch;
  }

  bool stopped() const { return signals_.received() != 0; }

  /// After the last step.
  bool due(const Rhythm::Beat& beat) const {
    return (beat.steps > 0 && state_.step % beat.steps == 0) || (beat.epochs && epoch_ended_);
  }

  void train(const data::StepBatch& batch) {
    const auto begun = Clock::now() - waited_;
    std::optional<StepWork> work;  // nothing if every record was skipped: nothing to learn from
    if (batch.supervised_tokens > 0) work = keeping_steps([&] { return upload(batch); });
    epoch_ended_ = std::floor(batch.epoch + 1e-9) > std::floor(state_.epoch + 1e-9);
    state_.epoch = batch.epoch;
    state_.step = batch.step;
    state_.data.add(batch);
    last_ = batch.snapshot;
    recorder_.set_step(state_.step);

    PendingRow pending;
    pending.begun = begun;
    pending.logged = due(rhythm_.log) || (rhythm_.log_first && batch.step == 1);
    pending.progress = batch.progress;
    StepMetrics& row = pending.row;
    row.step = batch.step;
    row.epoch = batch.epoch;
    row.tokens = batch.tokens;
    row.supervised_tokens = batch.supervised_tokens;
    row.samples = batch.samples;
    row.data_wait_seconds = std::chrono::duration<double>(waited_).count();
    row.skipped_samples = batch.skipped.total();
    const std::vector<double> rates = learning_rates(batch.step - 1, batch.progress_before);
    row.learning_rate = rates.front();
    for (size_t g = 1; g < rates.size(); ++g)
      row.group_learning_rates.emplace_back(parts_.network.groups[g].name, rates[g]);
    if (args_.print_batch_input_steps > 0 && batch.step % args_.print_batch_input_steps == 0) {
      log::info(fmt::format("step {}, ", batch.step) +
                first_sample_text(batch.micro_steps.front(), parts_.data.processing.tokenizer));
    }

    optim::Ema* ema = parts_.network.ema.get();
    if (ema != nullptr) ema->before_update(batch.step);
    if (!work) {
      row.skipped = true;
      row.loss = row.grad_norm = std::numeric_limits<double>::quiet_NaN();
      read_pending();
      pending.ended = Clock::now();
      write(pending);
      return;
    }
    row.flops = work->flops;
    row.lmms_engine_flops = work->lmms_engine_flops;
    run_step(batch, *work, rates);
    if (ema != nullptr) ema->after_update(batch.step, parts_.network.optimizer->skipped());
    pending.work = *std::move(work);
    pending.control = on_host(parts_.network.optimizer->control_bytes());
    pending.copied = kernels::record_event(parts_.device);
    pending.previous = std::exchange(last_copied_, pending.copied);
    if (!parts_.device.is_cuda()) {
      pending.ended = Clock::now();
      read(std::move(pending));
      return;
    }
    // On a GPU the numbers of a step are read while the next one runs.
    std::optional<PendingRow> before = std::exchange(pending_, std::nullopt);
    if (before) before->ended = pending.begun;
    pending_ = std::move(pending);
    if (before) read(std::move(*before));
  }

  StepWork upload(const data::StepBatch& batch) {
    for (bool again = false;; again = true) {
      try {
        return step_work(
            batch, *parts_.network.model, parts_.device,
            {parts_.loaded.config.compat.loss, static_cast<int>(parts_.machine.ranks)});
      } catch (const c10::OutOfMemoryError& e) {
        if (again) throw out_of_memory(batch, e);
      }
      kernels::release_unused_memory(parts_.device);
    }
  }

  Error out_of_memory(const data::StepBatch& batch, const c10::OutOfMemoryError& e) const {
    return parts_.adviser.out_of_memory(batch, context_, kernels::peak_memory_bytes(parts_.device),
                                        e.what_without_backtrace());
  }

  // Until the update a step changes nothing but gradients, which it sets to zero first: one that
  // finds no memory can be run again with less kept.
  void run_step(const data::StepBatch& batch, const StepWork& work,
                const std::vector<double>& rates) {
    for (bool again = false;; again = true) {
      try {
        train_step(parts_.network, parts_.objective, *runner_, work.micro_steps, context_, rates);
        return;
      } catch (const c10::OutOfMemoryError& e) {
        auto less = again ? std::nullopt : parts_.adviser.choose_again(batch, context_);
        if (!less) throw out_of_memory(batch, e);
        log::notice(less->told);
        context_ = std::move(less->context);
      }
      kernels::release_unused_memory(parts_.device);
    }
  }

  // Of each group of weights, for the update after `done` steps.
  std::vector<double> learning_rates(int64_t done, double progress) const {
    std::vector<double> out{parts_.learning_rate(done, progress)};
    const std::vector<ParameterGroup>& groups = parts_.network.groups;
    for (size_t g = 1; g < groups.size(); ++g)
      out.push_back(parts_.learning_rate.of(groups[g].learning_rate, done, progress));
    return out;
  }

  static at::Tensor on_host(const at::Tensor& bytes) {
    at::Tensor host = at::empty(
        bytes.sizes(), at::TensorOptions().dtype(at::kByte).pinned_memory(bytes.is_cuda()));
    host.copy_(bytes, /*non_blocking=*/true);
    return host;
  }

  // Of the step before the one that failed, whose numbers are still on their way.
  void keep_last_row() noexcept {
    try {
      read_pending();
    } catch (const std::exception&) {  // the failure that came first is the one to tell
    }
  }

  void read_pending() {
    last_copied_ = nullptr;  // whatever comes now is no part of the next step
    if (!pending_) return;
    kernels::wait_event(pending_->copied);
    pending_->ended = Clock::now();
    read(*std::exchange(pending_, std::nullopt));
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
    // The host runs ahead, so its clock tells when steps were asked for; the device's, what one
    // took.
    row.step_seconds = pending.previous ? kernels::seconds_between(pending.previous, pending.copied)
                                        : seconds_between(pending.begun, pending.ended);
    row.peak_memory_bytes = kernels::peak_memory_bytes(parts_.device);
    if (pending.logged) recorder_.step(row, parts_.machine);
    record_data(/*now=*/false);

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
      line.seconds_left =
          seconds_between(started_, pending.ended) * (1 - pending.progress) / gained;
    progress_.update(line);
  }

  /// An evaluation that the rhythm asks for: the learning rate may follow it. If a signal or an
  /// error comes first, it is left to the run that goes on.
  void evaluate_on_time() {
    state_.evaluation_due = true;
    state_.evaluation_due = !evaluate_now();
    if (state_.evaluation_due || !eval_loss_) return;
    if (parts_.learning_rate.observe(*eval_loss_)) {
      log::notice(fmt::format("step {}: the learning rate is {} from here on", state_.step,
                              parts_.learning_rate(state_.step, 0)));
    }
    state_.metric_schedule = parts_.learning_rate.state();
  }

  /// eval_loss and answers; false if a signal came first.
  bool evaluate_now() {
    read_pending();
    const ForwardModel forward(*parts_.network.model, parts_.device, context_.kernels);
    const auto stop = [this] { return stopped(); };
    Evaluation evaluation;
    if (parts_.data.evaluation.dataset) {
      evaluation.result = evaluating(
          [&] { return evaluate(forward, parts_.objective, parts_.data.evaluation, stop); });
      if (!evaluation.result) return false;
    }
    if (parts_.questions) {
      evaluation.answers = evaluating([&] { return parts_.questions->ask(forward, stop); });
      if (!evaluation.answers) return false;
    }
    evaluated_at_ = state_.step;
    if (evaluation.result) eval_loss_ = evaluation.result->loss;
    recorder_.evaluation(evaluation, state_.step, state_.epoch);
    tell(evaluation);
    return true;
  }

  void tell(const Evaluation& evaluation) const {
    if (const auto& result = evaluation.result) {
      log::info(
          fmt::format("step {}: eval_loss {:.4f} over {} supervised tokens of {} samples ({})",
                      state_.step, result->loss, result->supervised_tokens, result->samples,
                      text_of_seconds(result->seconds)));
    }
    if (!evaluation.answers) return;
    const Answers& answers = *evaluation.answers;
    if (answers.exact.asked > 0) {
      log::info(fmt::format("step {}: {} of {} answers are exact ({:.1f} %)", state_.step,
                            answers.exact.right, answers.exact.asked, 100 * answers.exact.share()));
    }
    if (answers.skipped_rows > 0) {
      log::warning(fmt::format("step {}: {} rows could not be asked (on_bad_sample: skip)",
                               state_.step, answers.skipped_rows));
    }
    if (!answers.shown.empty())
      log::info(fmt::format("step {}: {}", state_.step, text_of(answers.shown.front())));
  }

  void save_now() {
    read_pending();
    data::StepBatch last;
    last.snapshot = last_;
    state_.loader = last.state();
    state_.fingerprints = parts_.fingerprints.get();
    const auto from = Clock::now();
    const checkpoint::Checkpoint saved = parts_.saver.save(state_);
    saved_at_ = state_.step;
    record_data(/*now=*/true);
    recorder_.checkpoint(saved.path, seconds_between(from, Clock::now()));
  }

  Exit interrupted() {
    read_pending();
    if (saved_at_ != state_.step) save_now();
    progress_.finish();
    tell_skipped();
    const std::string what = fmt::format("interrupted by signal {}", signals_.received());
    if (state_.step == 0) {
      log::notice(what + " before the first step: nothing was there to save");
    } else {
      log::notice(
          fmt::format("{}; saved step {}, the same command goes on from there", what, state_.step));
    }
    recorder_.end(RunEnd::interrupted, what);
    return Exit::interrupted;
  }

  Exit finish() {
    read_pending();
    if (state_.applied_updates == 0) throw nothing_learned();
    if (evaluates() && evaluated_at_ != state_.step && args_.eval_strategy != Every::no)
      evaluate_now();
    if (stopped()) return interrupted();
    if (args_.save_strategy != Every::no && saved_at_ != state_.step) save_now();
    parts_.saver.publish(state_.step);
    mark_finished(args_.output_dir, state_.step);
    progress_.finish();
    tell_skipped();
    record_data(/*now=*/true);
    recorder_.end(RunEnd::finished, "");
    for (const std::string& line : recorder_.pointers()) log::info(line);
    return Exit::done;
  }

  /// Of a run at its end whose steps were all skipped, fewer than max_skipped_steps though they may
  /// be: its model would be the one that it began with.
  Error nothing_learned() const {
    return Error(fmt::format("step {}", state_.step),
                 fmt::format("the run is over and no step has changed a weight: {} had a "
                             "non-finite loss or gradient, {} nothing to learn from; no model is "
                             "written",
                             state_.skipped_steps, state_.step - state_.skipped_steps),
                 "look at the model and the data it begins with; a learning rate that is too high "
                 "shows after the first update only",
                 Exit::failed);
  }

  void record_data(bool now) {
    static const data::SkipCounts nothing;
    recorder_.data(state_.data, last_ ? last_->skipped : nothing, now);
  }

  /// What of the data was not trained, since the start, and updates that were not made at the end.
  void tell_skipped() const {
    const std::string text = last_ ? last_->skipped.text() : "";
    if (!text.empty()) log::warning(text);
    if (state_.skipped_in_a_row > 0) {
      log::warning(
          fmt::format("updates skipped at the end because loss or gradient was not finite: {}; the "
                      "weights are those before them",
                      state_.skipped_in_a_row));
    }
  }

  const RunParts& parts_;
  RunState& state_;
  nn::RunContext context_;
  const TrainerArgs& args_;
  std::optional<int64_t> total_;
  Rhythm rhythm_;
  std::unique_ptr<StepRunner> runner_;
  Recorder recorder_;
  std::optional<StepProfiler> profiler_;  // where enable_profiler asks for one
  std::optional<double> eval_loss_;       // of the last evaluation
  Progress progress_;
  StopSignals signals_;
  std::optional<PendingRow> pending_;
  std::shared_ptr<void> last_copied_;  // PendingRow::copied of the last step
  std::shared_ptr<const data::LoaderSnapshot>
      last_;                  // where the loader goes on after the last step
  bool epoch_ended_ = false;  // by the last step
  double progress_at_start_ = 0;
  int64_t evaluated_at_, saved_at_;
  Clock::time_point started_;
  Clock::duration waited_{};  // for the batch
};

}  // namespace

Rhythm rhythm_of(const LoadedConfig& loaded, std::optional<int64_t> total_steps) {
  const TrainerArgs& args = loaded.config.trainer;
  const double eval_steps = args.eval_steps.value_or(args.logging_steps);
  Rhythm r;
  r.log = beat(loaded, args.logging_strategy, "logging_steps", args.logging_steps, total_steps);
  r.save = beat(loaded, args.save_strategy, "save_steps", args.save_steps, total_steps);
  r.evaluate = beat(loaded, args.eval_strategy, "eval_steps", eval_steps, total_steps);
  r.log_first = args.logging_first_step;
  return r;
}

Exit run_loop(const RunParts& parts, RunState& state, const nlohmann::json& start) {
  return Loop(parts, state).run(start);
}

}  // namespace lmms::train
