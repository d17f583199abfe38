#include "data/loader.h"

#include <algorithm>
#include <atomic>
#include <exception>
#include <future>
#include <mutex>
#include <thread>
#include <unordered_map>

#include "core/threads.h"
#include "data/assign.h"
#include "data/collate.h"
#include "data/loader_state.h"
#include "data/planner.h"
#include "data/sample_reader.h"

namespace lmms::data {
namespace {

/// Samples that measuring made, kept until their row is laid out, up to a number of bytes. Those
/// beyond it are made again.
class KeptSamples {
 public:
  explicit KeptSamples(int64_t limit) : limit_(limit) {}

  void put(int64_t ordinal, std::shared_ptr<const Sample> sample) {
    const int64_t bytes = bytes_of(*sample);
    std::lock_guard lock(mutex_);
    if (bytes_ + bytes > limit_) return;
    bytes_ += bytes;
    samples_.emplace(ordinal, std::move(sample));
  }

  /// Null if it was not kept.
  std::shared_ptr<const Sample> take(int64_t ordinal) {
    std::lock_guard lock(mutex_);
    const auto at = samples_.find(ordinal);
    if (at == samples_.end()) return nullptr;
    auto sample = std::move(at->second);
    samples_.erase(at);
    bytes_ -= bytes_of(*sample);
    return sample;
  }

 private:
  static int64_t bytes_of(const Sample& sample) {
    constexpr int64_t kHeaders = 256;
    return kHeaders + sample.length() * static_cast<int64_t>(2 * sizeof(int32_t));
  }
  std::mutex mutex_;
  std::unordered_map<int64_t, std::shared_ptr<const Sample>> samples_;
  int64_t limit_;
  int64_t bytes_ = 0;
};

size_t steps_ahead_of(const LoaderOptions& options) {
  return options.steps_ahead > 0 ? static_cast<size_t>(options.steps_ahead)
                                 : loader_threads(options.threads);
}

/// The policies; with packing no sample may be larger than a row.
Policies policies_of(const LoaderOptions& options) {
  Policies policies = options.policies;
  const auto lower = [](int64_t& limit, int64_t row) {
    if (row > 0) limit = limit > 0 ? std::min(limit, row) : row;
  };
  if (options.packing) {
    lower(policies.max_length, options.packing->length);
    lower(policies.max_patches, options.packing->patches);
  }
  return policies;
}

/// This rank's share of a micro-step.
struct MicroStep {
  std::vector<Bin> rows;
  bool vision_somewhere = false;  ///< on any rank
};

/// A step on its way: all but its batches is known.
struct PendingStep {
  StepBatch step;
  std::vector<std::future<Batch>> micro_steps;
  std::exception_ptr error;
};

}  // namespace

size_t loader_threads(int asked) {
  if (asked > 0) return static_cast<size_t>(asked);
  return std::clamp<size_t>(std::thread::hardware_concurrency(), 2, 9) - 1;  // one for training
}

std::string StepBatch::state() const {
  return snapshot->text();
}

/// One planner thread decides what comes; the pool measures samples ahead of it and lays out
/// batches behind it; a bounded queue hands steps over.
class Loader::Engine {
 public:
  Engine(std::shared_ptr<const Dataset> dataset, std::shared_ptr<const Processor> processor,
         LoaderOptions options)
      : dataset_(std::move(dataset)),
        options_(std::move(options)),
        reader_(dataset_, std::move(processor), policies_of(options_), options_.costs),
        extent_(extent_of(dataset_->rows_per_epoch(), options_)) {
    start_.order = std::make_shared<const nlohmann::json>(order_of(*dataset_, options_));
  }
  ~Engine() { stop(); }

  std::optional<StepBatch> next() {
    if (ended_) return std::nullopt;
    if (!run_) run_ = std::make_unique<Run>(*this);
    auto pending = run_->steps.pop();
    try {
      if (!pending) {
        stop();
        ended_ = true;
        return std::nullopt;
      }
      if (pending->error) std::rethrow_exception(pending->error);
      for (auto& batch : pending->micro_steps) pending->step.micro_steps.push_back(batch.get());
    } catch (...) {
      stop();
      ended_ = true;
      throw;
    }
    return std::move(pending->step);
  }

  void restore(const std::string& state) {
    auto snapshot = LoaderSnapshot::parse(state, start_.order).take();
    stop();
    ended_ = false;
    start_ = std::move(snapshot);
  }

  const Dataset& dataset() const { return *dataset_; }
  const Extent& extent() const { return extent_; }

 private:
  /// The threads of a run from start_ on. Ending it joins them: what is queued returns at once.
  struct Run {
    explicit Run(Engine& engine)
        : steps(steps_ahead_of(engine.options_)),
          kept(engine.options_.kept_text_bytes),
          pool(loader_threads(engine.options_.threads), "data"),
          planner([this, &engine] {
            name_this_thread("data planner");
            engine.plan(*this);
          }) {}
    ~Run() {
      stopping = true;
      steps.close();
      planner.join();
    }
    std::atomic<bool> stopping = false;
    BoundedQueue<PendingStep> steps;
    KeptSamples kept;
    ThreadPool pool;
    std::jthread planner;
  };

  void stop() { run_.reset(); }

  void plan(Run& run) {
    try {
      const auto window = static_cast<int64_t>(16 * run.pool.size());
      const auto measure = [this, &run](int64_t ordinal) {
        return run.pool.submit([this, &run, ordinal] { return this->measure(run, ordinal); });
      };
      auto planner = make_planner(dataset_->rows_per_epoch(), options_, start_, measure, window);
      while (!run.stopping) {
        auto plan = planner->next();
        if (!plan || !run.steps.push(pending(run, *std::move(plan)))) break;
      }
    } catch (...) {  // surfaces in next(), at the step it belongs to
      PendingStep failed;
      failed.error = std::current_exception();
      run.steps.push(std::move(failed));
    }
    run.steps.close();
  }

  Outcome measure(Run& run, int64_t ordinal) const {
    if (run.stopping) return {};
    auto outcome = reader_.measure(ordinal);
    if (outcome.item && outcome.sample) run.kept.put(ordinal, std::move(outcome.sample));
    return outcome;
  }

  PendingStep pending(Run& run, StepPlan plan) const {
    PendingStep pending;
    auto& step = pending.step;
    step.step = plan.after->step;
    step.epoch = plan.epoch;
    step.progress_before = plan.progress_before;
    step.progress = plan.progress;
    step.skipped = plan.after->skipped;
    step.snapshot = std::move(plan.after);
    std::vector<RowDescriptor> descriptors;
    for (const auto& row : plan.rows) {
      descriptors.push_back({row.length, row.cost, row.patches});
      step.tokens += row.length;
      step.samples += static_cast<int64_t>(row.items.size());
      step.rows += !row.items.empty();
      for (const auto& item : row.items) step.supervised_tokens += item.supervised;
    }
    const auto count = micro_steps_of(static_cast<int64_t>(plan.rows.size()), options_.ranks,
                                      options_.rows_per_micro_step);
    std::vector<MicroStep> micro_steps(static_cast<size_t>(count));
    const auto places = assign(descriptors, options_.ranks, options_.rows_per_micro_step);
    for (size_t i = 0; i < places.size(); ++i) {
      MicroStep& micro_step = micro_steps[static_cast<size_t>(places[i].micro_step)];
      micro_step.vision_somewhere = micro_step.vision_somewhere || descriptors[i].patches > 0;
      if (places[i].rank == options_.rank) {
        micro_step.rows.push_back(std::move(plan.rows[i]));
      } else {
        for (const auto& item : plan.rows[i].items) run.kept.take(item.ordinal);
      }
    }
    for (auto& micro_step : micro_steps) {
      pending.micro_steps.push_back(
          run.pool.submit([this, &run, one = std::move(micro_step)] { return lay_out(run, one); }));
    }
    return pending;
  }

  Batch lay_out(Run& run, const MicroStep& micro_step) const {
    if (run.stopping) return {};
    const std::vector<Bin>& rows = micro_step.rows;
    std::vector<RowSamples> samples(rows.size());
    for (size_t r = 0; r < rows.size(); ++r) {
      for (const auto& item : rows[r].items) {
        auto sample = run.kept.take(item.ordinal);
        samples[r].push_back(sample ? std::move(sample) : reader_.make(item));
      }
    }
    Batch batch = collate(samples, options_.pad_multiple, options_.pad_id);
    if (batch.tokens() == 0 && options_.ranks > 1)
      batch = dummy_batch(options_.pad_multiple, options_.pad_id);
    batch.vision_somewhere = micro_step.vision_somewhere || !batch.vision.grids.empty();
    return batch;
  }

  std::shared_ptr<const Dataset> dataset_;
  LoaderOptions options_;
  SampleReader reader_;
  Extent extent_;
  LoaderSnapshot start_;
  bool ended_ = false;
  std::unique_ptr<Run> run_;
};

Loader::Loader(std::shared_ptr<const Dataset> dataset, std::shared_ptr<const Processor> processor,
               LoaderOptions options)
    : engine_(
          std::make_unique<Engine>(std::move(dataset), std::move(processor), std::move(options))) {}
Loader::~Loader() = default;

std::optional<StepBatch> Loader::next() {
  return engine_->next();
}

void Loader::restore(const std::string& state) {
  engine_->restore(state);
}

int64_t Loader::rows_per_epoch() const {
  return engine_->dataset().rows_per_epoch();
}

std::optional<int64_t> Loader::total_steps() const {
  return engine_->extent().total_steps;
}

}  // namespace lmms::data
