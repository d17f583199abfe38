#include "train/run_loop.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/stack.h>

#include <chrono>
#include <cmath>
#include <cstring>
#include <limits>
#include <nlohmann/json.hpp>

#include "checkpoint/finished.h"
#include "core/format.h"
#include "core/log.h"
#include "data/latents.h"
#include "data/loader_state.h"
#include "kernels/device.h"
#include "step/step_work.h"
#include "train/batch_text.h"
#include "train/evaluation.h"
#include "train/event_intervals.h"
#include "train/final_model.h"
#include "train/interruption.h"
#include "train/progress.h"
#include "train/recorder.h"
#include "train/registries.h"
#include "train/step_profiler.h"

namespace lmms::train {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_between(Clock::time_point from, Clock::time_point to) {
  return std::chrono::duration<double>(to - from).count();
}

/// A copy on the host, complete once the device has come to it.
at::Tensor on_host(const at::Tensor& tensor) {
  at::Tensor host =
      at::empty(tensor.sizes(),
                at::TensorOptions().dtype(tensor.scalar_type()).pinned_memory(tensor.is_cuda()));
  host.copy_(tensor, /*non_blocking=*/true);
  return host;
}

/// What of a step waits to be read from the device.
struct PendingRow {
  StepMetrics row;
  step::StepWork work;  // kept until the device is through with it
  // copies on the host, complete once `copied` is reached
  std::vector<at::Tensor> controls;  // bytes of a StepControl, by network
  std::vector<size_t> term_numbers;  // of those that were added
  at::Tensor terms;
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
        intervals_(event_intervals(parts.loaded, total_)),
        runner_(step::plain_runner()),
        recorder_(args_, parts.loaded.registries->metric_sinks, state.step, state.evaluation_due,
                  parts.journal, parts.run_log),
        progress_(progress_form(args_.disable_tqdm)),
        interruption_(state.step),
        evaluated_at_(recorder_.last_evaluation()),
        saved_at_(state.step) {
    if (args_.enable_profiler) profiler_.emplace(args_, parts.device);
  }

  Exit run(const nlohmann::json& start) {
    bool begun = false;  // what comes before it changes nothing in the folder
    try {
      std::optional<data::StepBatch> batch = next();
      if ((!batch || seen_enough()) &&
          checkpoint::finished_steps(args_.output_dir) == state_.step &&
          holds_final_model(args_, state_)) {
        tell_of_unknown_best();
        log::write_always(log::Level::notice,
                          fmt::format("{} holds the model of all {} steps: the run is finished",
                                      args_.output_dir, state_.step));
        return Exit::done;
      }
      checkpoint::mark_begun(args_.output_dir, state_.config);
      begun = true;
      recorder_.begin(start);
      record_best();  // so far: a journal that goes on may tell of one that was left
      log::info(recorder_.pointers().front());
      if (const std::string text = recorder_.instead_of_services(); !text.empty())
        log::notice(text);
      return go_on(std::move(batch));
    } catch (const std::exception& e) {
      parts_.control.fail(e.what());
      if (!begun) throw;
      keep_last_row();
      record_data(/*now=*/true);
      recorder_.end(RunEnd::failed, e.what());
      throw;
    }
  }

 private:
  Exit go_on(std::optional<data::StepBatch> batch) {
    using Next = step::ControlPlane::Next;
    if (evaluates() && args_.eval_on_start && state_.step == 0) evaluate_now(Role::first_look);
    if (evaluates() && state_.evaluation_due) evaluate_at_interval();
    started_ = Clock::now();
    progress_at_start_ = batch ? batch->progress_before : 1;
    Next next_act = parts_.control.before_step(wish(), batch.has_value());
    while (next_act == Next::step) {
      if (profiler_) profiler_->before(batch->step);
      train(*batch);
      if (profiler_) profiler_->after(batch->step);
      if (evaluates() && is_due(intervals_.evaluate)) evaluate_at_interval();
      if (is_due(intervals_.save) || (saves_best() && is_best())) save_now();
      batch = next();
      next_act = parts_.control.before_step(wish(), batch.has_value());
    }
    if (profiler_) profiler_->close();
    if (next_act == Next::stop) return interrupted();
    return finish(/*early=*/next_act == Next::enough);
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
    } catch (const std::exception& e) {  // the failure that came first is the one to show
      log::warning(fmt::format("the steps after {} could not be saved: {}", before, e.what()));
    }
  }

  /// One more try, with the memory that the allocator holds unused given back.
  step::Retries one_retry(std::function<void(const std::string& cause)> give_up) const {
    return {.propose = [retried = false]() mutable -> std::optional<std::string> {
              if (std::exchange(retried, true)) return std::nullopt;
              return "";
            },
            .change = [this](const std::string&) { kernels::release_unused_memory(parts_.device); },
            .give_up = std::move(give_up)};
  }

  /// Of a forward of an evaluation that finds no memory.
  step::Retries evaluation_retries() {
    return one_retry([this](const std::string& cause) {
      save_before_the_end();
      throw Error(fmt::format("step {}", state_.step),
                  "an evaluation finds no memory on the device: " + cause,
                  "lower trainer_args.per_device_eval_batch_size, or limit samples by "
                  "dataset_config.max_length (packing_length is no limit in evaluation)",
                  Exit::failed);
    });
  }

  /// Whether an evaluation has something to do.
  bool evaluates() const { return parts_.data.evaluation.dataset || !parts_.exhibits.empty(); }

  std::optional<data::StepBatch> next() {
    const auto from = Clock::now();
    interruption_.now(Activity::Kind::waiting, state_.step);
    auto batch = keeping_steps([this] { return parts_.loader.next(); });
    waited_ = Clock::now() - from;
    return batch;
  }

  /// This rank alone.
  bool signalled() const { return interruption_.received() != 0; }
  bool seen_enough() const { return state_.best && train::seen_enough(*state_.best, args_.best); }
  step::ControlPlane::Wish wish() const {
    using Wish = step::ControlPlane::Wish;
    return signalled() ? Wish::stop : seen_enough() ? Wish::enough : Wish::go_on;
  }
  /// All ranks ask, and get the same answer.
  bool stopped() const { return parts_.control.any(signalled()); }

  /// After the last step.
  bool is_due(const EventIntervals::Interval& interval) const {
    return interval.is_due(state_.step, epoch_ended_);
  }

  void train(const data::StepBatch& batch) {
    interruption_.now(Activity::Kind::step, batch.step);
    const auto begun = Clock::now() - waited_;
    std::optional<step::StepWork> work;  // nothing if all was skipped: nothing to learn from
    if (objectives::has_any_term(parts_.objective, batch))
      work = keeping_steps([&] { return upload(batch); });
    epoch_ended_ = std::floor(batch.epoch + 1e-9) > std::floor(state_.epoch + 1e-9);
    state_.epoch = batch.epoch;
    state_.step = batch.step;
    state_.data.add(batch);
    last_ = batch.snapshot;
    recorder_.set_step(state_.step);

    std::vector<std::vector<double>> rates;  // by network and group
    for (const step::Network& network : parts_.trained.networks)
      rates.push_back(step::learning_rates(network, batch.step - 1, batch.progress_before));
    PendingRow pending;
    pending.begun = begun;
    pending.logged = is_due(intervals_.log) || (intervals_.log_first && batch.step == 1);
    pending.progress = batch.progress;
    pending.row = row_of(batch, rates);
    if (args_.print_batch_input_steps > 0 && batch.step % args_.print_batch_input_steps == 0) {
      log::info(
          fmt::format("step {}, ", batch.step) +
          first_sample_text(batch.micro_steps.front(), parts_.data.processing.tokenizer_or_null()));
    }

    for (step::Network& network : parts_.trained.networks)
      if (network.ema) network.ema->before_update(batch.step);
    if (!work) {
      pending.row.skipped = true;
      pending.row.loss = pending.row.grad_norm = std::numeric_limits<double>::quiet_NaN();
      read_pending();
      pending.ended = Clock::now();
      write(pending);
      return;
    }
    pending.row.flops = work->flops;
    pending.row.lmms_engine_flops = work->lmms_engine_flops;
    const objectives::StepValues values = run_step(batch, *work, rates);
    for (step::Network& network : parts_.trained.networks)
      if (network.ema) network.ema->after_update(batch.step, network.decision->skipped());
    pending.work = *std::move(work);
    copy_results(values, pending);
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

  /// What is known of a step before it runs.
  StepMetrics row_of(const data::StepBatch& batch,
                     const std::vector<std::vector<double>>& rates) const {
    StepMetrics row;
    row.step = batch.step;
    row.epoch = batch.epoch;
    row.tokens = batch.tokens;
    row.supervised_tokens = batch.supervised_tokens;
    row.samples = batch.samples;
    const auto images = batch.counts.find(data::kImages);
    if (images != batch.counts.end()) row.images = static_cast<int64_t>(images->second);
    row.data_wait_seconds = std::chrono::duration<double>(waited_).count();
    row.skipped_samples = batch.skipped.total();
    row.learning_rate = rates.front().front();
    const step::Network& main = parts_.trained.main();
    for (size_t g = 1; g < rates.front().size(); ++g)
      row.group_learning_rates.emplace_back(main.groups[g].name, rates.front()[g]);
    for (size_t n = 1; n < rates.size(); ++n)
      row.networks.push_back({parts_.trained.networks[n].name, rates[n].front()});
    return row;
  }

  /// Begins to copy what a step decided and summed to the host.
  void copy_results(const objectives::StepValues& values, PendingRow& pending) const {
    for (const step::Network& network : parts_.trained.networks)
      pending.controls.push_back(on_host(network.decision->bytes()));
    if (values.terms.size() < 2) return;  // the loss is the only one
    std::vector<at::Tensor> terms;
    for (size_t t = 0; t < values.terms.size(); ++t) {
      if (!values.terms[t].defined() || !objectives::is_told(parts_.objective, t)) continue;
      pending.term_numbers.push_back(t);
      terms.push_back(values.terms[t].to(at::kDouble));
    }
    if (!terms.empty()) pending.terms = on_host(at::stack(terms));
  }

  step::StepWork upload(const data::StepBatch& batch) {
    step::StepWork work;
    parts_.control.until_memory_suffices(
        [&] {
          work = step::step_work(batch, *parts_.trained.main().model, parts_.objective,
                                 parts_.device, parts_.control.count());
        },
        one_retry([&](const std::string& cause) { throw out_of_memory(batch, cause); }));
    return work;
  }

  Error out_of_memory(const data::StepBatch& batch, const std::string& cause) const {
    return parts_.adviser.out_of_memory(batch, context_, parts_.memory.bytes(), cause);
  }

  // Until its update a phase changes nothing but gradients, which it sets to zero first: one that
  // finds no memory can be run again, once, with less kept.
  objectives::StepValues run_step(const data::StepBatch& batch, const step::StepWork& work,
                                  const std::vector<std::vector<double>>& rates) {
    bool retried = false;
    const step::Retries retries{
        .propose = [&]() -> std::optional<std::string> {
          if (std::exchange(retried, true)) return std::nullopt;
          const auto choice = parts_.adviser.choose_less(batch, context_);
          return choice ? std::optional(plan::text_of(*choice)) : std::nullopt;
        },
        .change =
            [&](const std::string& proposal) {
              plan::Choice choice = plan::choice_from(proposal, context_);
              log::notice(choice.notice);
              context_ = std::move(choice.context);
              kernels::release_unused_memory(parts_.device);
            },
        .give_up = [&](const std::string& cause) { throw out_of_memory(batch, cause); }};
    return step::train_step(parts_.trained, parts_.objective, *runner_, work.micro_steps, context_,
                            rates, [&](const std::function<void()>& attempt) {
                              parts_.control.until_memory_suffices(attempt, retries);
                            });
  }

  // Of the step before the one that failed, whose numbers are still on their way.
  void keep_last_row() noexcept {
    try {
      read_pending();
    } catch (const std::exception&) {  // the failure that came first is the one to show
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
    std::vector<kernels::StepControl> controls(pending.controls.size());
    for (size_t n = 0; n < controls.size(); ++n)
      std::memcpy(&controls[n], pending.controls[n].const_data_ptr(), sizeof(controls[n]));
    StepMetrics& row = pending.row;
    row.loss = controls.front().loss;
    row.grad_norm = controls.front().norm;
    for (size_t n = 1; n < controls.size(); ++n) row.networks[n - 1].grad_norm = controls[n].norm;
    for (size_t t = 0; t < pending.term_numbers.size(); ++t) {
      row.terms[parts_.objective.terms()[pending.term_numbers[t]].name] =
          pending.terms.const_data_ptr<double>()[t];
    }
    state_.applied_updates = controls.front().applied;
    state_.skipped_in_a_row = controls.front().skipped_in_a_row;
    for (size_t n = 0; n < controls.size(); ++n) check_fault(row.step, n, controls[n]);
    for (size_t n = 0; n < controls.size(); ++n) {
      if (controls[n].skip == 0) continue;
      row.skipped = true;
      log::warning(
          fmt::format("step {}: {}loss {} and gradient norm {} are not both finite; the "
                      "update is skipped ({} in a row)",
                      row.step, network_text(n), controls[n].loss, controls[n].norm,
                      controls[n].skipped_in_a_row));
    }
    if (row.skipped) ++state_.skipped_steps;
    write(pending);
    for (size_t n = 0; n < controls.size(); ++n) check_skipped(row.step, n, controls[n]);
  }

  /// Which network a message is about, where there are several.
  std::string network_text(size_t n) const {
    return parts_.trained.message_prefix(parts_.trained.networks[n]);
  }

  void check_fault(int64_t step, size_t network, const kernels::StepControl& control) const {
    if (control.fault == 0) return;
    const kernels::FaultText text =
        kernels::text_of(static_cast<kernels::StepFault>(control.fault));
    throw Error(fmt::format("step {}", step), network_text(network) + text.what, text.fix,
                Exit::failed);
  }

  void check_skipped(int64_t step, size_t network, const kernels::StepControl& control) const {
    const int64_t in_a_row = control.skipped_in_a_row;
    if (in_a_row == 0 || in_a_row < args_.max_skipped_steps) return;
    throw Error(fmt::format("step {}", step),
                fmt::format("{}{} steps in a row had a non-finite loss or gradient; the run ends, "
                            "weights are those of the last good step",
                            network_text(network), in_a_row),
                "lower trainer_args.learning_rate or look at the data of these steps; "
                "trainer_args.max_skipped_steps sets the limit",
                Exit::failed);
  }

  void write(PendingRow& pending) {
    StepMetrics& row = pending.row;
    // The host runs ahead, so its clock tells when steps were asked for; the device's, what one
    // took.
    row.step_seconds = pending.previous ? kernels::seconds_between(pending.previous, pending.copied)
                                        : seconds_between(pending.begun, pending.ended);
    row.peak_memory_bytes = parts_.memory.bytes();
    ProgressLine line;
    line.step = row.step;
    line.total_steps = total_;
    line.done = pending.progress;
    line.loss = row.loss;
    last_loss_ = row.loss;
    line.grad_norm = row.grad_norm;
    line.learning_rate = row.learning_rate;
    line.skipped = row.skipped;
    line.logged = pending.logged;
    line.tokens_per_second = static_cast<double>(row.tokens) / row.step_seconds;
    line.images_per_second = static_cast<double>(row.images) / row.step_seconds;
    line.mfu = row.flops / (parts_.machine.peak_flops_per_second * row.step_seconds);
    line.memory_bytes = row.peak_memory_bytes;
    const double gained = pending.progress - progress_at_start_;
    if (gained > 0)
      line.seconds_left =
          seconds_between(started_, pending.ended) * (1 - pending.progress) / gained;
    if (pending.logged) recorder_.step(row, parts_.machine, render_plain(line));
    record_data(/*now=*/false);
    progress_.update(line);
  }

  /// An evaluation that the config asks for by steps or epochs: the learning rates may follow it.
  /// If a signal or an error comes first, it is left to the run that goes on.
  void evaluate_at_interval() {
    state_.evaluation_due = true;
    state_.evaluation_due = !evaluate_now(Role::counted);
    if (state_.evaluation_due || !metric_) return;
    for (size_t n = 0; n < parts_.trained.networks.size(); ++n) {
      optim::LearningRate& schedule = *parts_.trained.networks[n].schedule;
      if (!schedule.observe(*metric_)) continue;
      log::notice(fmt::format("step {}: {}the learning rate is {} from here on", state_.step,
                              network_text(n), schedule(state_.step, 0)));
    }
    state_.metric_schedule = parts_.trained.main().schedule->state();
  }

  /// What an evaluation is to the run: one before the first step is looked at alone.
  enum class Role { first_look, counted };

  /// eval_loss, and what the model shows; false if a signal came first.
  bool evaluate_now(Role role) {
    read_pending();
    interruption_.now(Activity::Kind::evaluation, state_.step);
    const auto stop = [this] { return stopped(); };
    Evaluation evaluation;
    if (parts_.data.evaluation.dataset) {
      const step::ForwardModel forward(*parts_.trained.main().model, parts_.device,
                                       context_.kernels);
      std::vector<objectives::NamedModel> models = parts_.trained.models();
      EvaluationRun run{.stop = stop,
                        .control = &parts_.control,
                        .retries = evaluation_retries(),
                        .others = {models.begin() + 1, models.end()}};
      evaluation.result = keeping_steps(
          [&] { return evaluate(forward, parts_.objective, parts_.data.evaluation, run); });
      if (!evaluation.result) return false;
    }
    for (const std::unique_ptr<Exhibit>& exhibit : parts_.exhibits) {
      std::optional<Shown> shown = show(*exhibit);
      if (parts_.control.any(!shown)) return false;
      evaluation.shown.push_back(*std::move(shown));
    }
    evaluated_at_ = state_.step;
    metric_ = first_ranks(value_of(evaluation, best_metric(args_.best).field));
    if (role != Role::first_look) keeping_steps([this] { observe(); });
    recorder_.evaluation(evaluation, state_.step, state_.epoch, best_state());
    log_evaluation(evaluation);
    if (role != Role::first_look) log_best();
    return true;
  }

  std::optional<Shown> show(Exhibit& exhibit) {
    const Moment moment{.network = parts_.trained.main(),
                        .device = parts_.device,
                        .kernels = context_.kernels,
                        .step = state_.step,
                        // no question to other ranks inside: of several every one goes to the end
                        .stop = [this] { return parts_.control.count() == 1 && signalled(); }};
    std::optional<Shown> shown;
    keeping_steps([&] {
      parts_.control.until_memory_suffices([&] { shown = exhibit.show(moment); },
                                           evaluation_retries());
    });
    return shown;
  }

  /// The first rank's, on all: what follows of it is one decision.
  std::optional<double> first_ranks(std::optional<double> value) const {
    if (!value) return value;
    const double mine = parts_.control.rank() == 0 ? *value : 0;
    return parts_.control.sums({&mine, 1}).front();
  }

  bool saves_best() const { return args_.save_strategy == SaveStrategy::best; }
  /// Whether the checkpoint of this step is the best one, or will be.
  bool is_best() const {
    return state_.best && state_.best->checkpoint && state_.best->checkpoint->step == state_.step;
  }
  const BestState* best_state() const { return state_.best ? &*state_.best : nullptr; }

  /// The last evaluation, where the run seeks its best one.
  void observe() {
    if (!state_.best) return;
    if (!metric_) {
      throw Error(parts_.loaded.where("trainer_args.metric_for_best_model"),
                  fmt::format("the evaluation of step {} has no {}", state_.step,
                              state_.best->metric.field),
                  "leave it out, for eval_loss");
    }
    state_.best->observe({*metric_, state_.step}, args_.best.early_stopping_threshold);
    // by the config alone, not by what an interruption saved besides: so a run that went on keeps
    // the checkpoint that an unbroken one does
    const EventIntervals::Interval& save = intervals_.save;
    if (saves_best() || (save.epochs && intervals_.evaluate.epochs) || is_due(save))
      state_.best->keep_last();
  }

  void log_best() const {
    if (!state_.best || !state_.best->best) return;
    const BestState& state = *state_.best;
    const std::string& field = state.metric.field;
    if (state.best->step == state_.step) {
      log::info(fmt::format("step {}: the best {} so far, {:.4g}", state_.step, field,
                            state.best->value));
    } else if (args_.best.early_stopping_patience && state.without_improvement > 0) {
      log::info(fmt::format("step {}: {} has not improved for {} of {} evaluations", state_.step,
                            field, state.without_improvement, *args_.best.early_stopping_patience));
    }
  }

  void log_evaluation(const Evaluation& evaluation) const {
    if (const auto& result = evaluation.result) {
      const std::string tokens =
          result->supervised_tokens == 0
              ? ""
              : fmt::format("{} supervised tokens of ", result->supervised_tokens);
      log::info(fmt::format("step {}: eval_loss {:.4f} over {}{} samples ({})", state_.step,
                            result->loss, tokens, result->samples,
                            text_of_seconds(result->seconds)));
    }
    for (const Shown& shown : evaluation.shown) {
      for (const auto& [level, text] : shown.lines)
        log::write(level, fmt::format("step {}: {}", state_.step, text));
    }
  }

  void save_now() {
    read_pending();
    interruption_.now(Activity::Kind::saving, state_.step);
    data::StepBatch last;
    last.snapshot = last_;
    state_.loader = last.state();
    state_.fingerprints = parts_.fingerprints.get();
    const auto from = Clock::now();
    const Saved saved = parts_.saver.save(state_);
    saved_at_ = state_.step;
    interruption_.saved(saved_at_);
    record_data(/*now=*/true);
    recorder_.checkpoint(saved.checkpoint.path, seconds_between(from, Clock::now()));
    for (const int64_t step : saved.deleted) recorder_.deleted(step);
    record_best();
  }

  /// Of a run that is over, whose config asks for its best model only now.
  void tell_of_unknown_best() const {
    if (!args_.best.load_best_model_at_end || state_.best->last) return;
    log::warning(
        fmt::format("trainer_args.load_best_model_at_end: no evaluation of this run is known by "
                    "{}; the model stays that of the last step. "
                    "trainer_args.resume_from_checkpoint=false trains anew",
                    state_.best->metric.field));
  }

  /// Tells of a best checkpoint once it is there.
  void record_best() {
    if (!state_.best || !state_.best->checkpoint || told_best_ == state_.best->checkpoint) return;
    told_best_ = state_.best->checkpoint;
    recorder_.best(state_.best->metric, *told_best_);
  }

  Exit interrupted() {
    read_pending();
    if (saved_at_ != state_.step) save_now();
    progress_.finish();
    log_skipped();
    const std::string what =
        signalled() ? fmt::format("interrupted by {}", signal_text(interruption_.received()))
                    : "interrupted as another rank was asked to stop";
    if (state_.step == 0) {
      log::write_always(log::Level::notice,
                        what + " before the first step: nothing was there to save");
    } else {
      log::write_always(
          log::Level::notice,
          fmt::format("{}; saved step {}, the same command goes on from there", what, state_.step));
    }
    recorder_.end(RunEnd::interrupted, what);
    return Exit::interrupted;
  }

  /// `early`: before the data were at their end.
  Exit finish(bool early) {
    read_pending();
    if (state_.applied_updates == 0) throw nothing_learned();
    if (evaluates() && evaluated_at_ != state_.step && args_.eval_strategy != Every::no)
      evaluate_now(Role::counted);
    if (stopped()) return interrupted();
    if (state_.best && state_.best->last && state_.best->last->step == state_.step &&
        args_.save_strategy != SaveStrategy::no)
      state_.best->keep_last();
    std::string text;
    if (early) {
      text = "stopped early: " + why_enough(*state_.best);
      log::notice(fmt::format("step {}: {}", state_.step, text));
    }
    if (saved_at_ != state_.step && args_.save_strategy != SaveStrategy::no &&
        (!saves_best() || is_best()))
      save_now();
    record_best();
    interruption_.now(Activity::Kind::finishing, state_.step);
    const std::optional<int64_t> model = publish_final_model(parts_.saver, args_, state_);
    checkpoint::mark_finished(args_.output_dir, state_.step, model);
    progress_.finish();
    log_skipped();
    record_data(/*now=*/true);
    recorder_.end(RunEnd::finished, text, model ? best_state() : nullptr);
    for (const std::string& line : recorder_.pointers()) log::info(line);
    log::write_always(log::Level::info, last_line());
    return Exit::done;
  }

  /// Of a finished run, whose model is written.
  std::string last_line() const {
    return fmt::format("finished: {} steps{}, {} since this start; the model is in {}", state_.step,
                       last_loss_ ? fmt::format(", the last loss {:.4f}", *last_loss_) : "",
                       text_of_seconds(seconds_between(started_, Clock::now())), args_.output_dir);
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
  void log_skipped() const {
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
  EventIntervals intervals_;
  std::unique_ptr<step::StepRunner> runner_;
  Recorder recorder_;
  std::optional<StepProfiler> profiler_;  // where enable_profiler asks for one
  std::optional<double> last_loss_;       // of this start
  std::optional<double> metric_;          // best_metric of the last evaluation
  std::optional<Evaluated> told_best_;    // checkpoint that the journal names
  Progress progress_;
  Interruption interruption_;
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

Exit run_loop(const RunParts& parts, RunState& state, const nlohmann::json& start) {
  return Loop(parts, state).run(start);
}

}  // namespace lmms::train
