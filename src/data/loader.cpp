#include "data/loader.h"

#include <algorithm>
#include <atomic>
#include <deque>
#include <exception>
#include <future>
#include <mutex>
#include <nlohmann/json.hpp>
#include <thread>
#include <unordered_map>

#include "core/hash.h"
#include "core/threads.h"
#include "data/assign.h"
#include "data/collate.h"
#include "data/loader_state.h"
#include "data/outcome_exchange.h"
#include "data/planner.h"
#include "data/sample_reader.h"

namespace lmms::data {
namespace {

/// Samples that measuring made, kept until their row is laid out, up to a number of bytes. Those
/// beyond it are made again.
class SampleCache {
 public:
  explicit SampleCache(int64_t limit) : limit_(limit) {}

  void put(int64_t ordinal, std::shared_ptr<const Sample> sample) {
    const int64_t bytes = sample->bytes();
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
    bytes_ -= sample->bytes();
    return sample;
  }

 private:
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
    for (const MediaCount& limit : options.packing->media)
      lower(policies.max_media[limit.kind].patches, limit.patches);
  }
  return policies;
}

/// What ranks must have in common beside order_of(), to make the same plan and the same batches.
nlohmann::json common_options(const LoaderOptions& options) {
  const auto cost = [](const MediaCost& media) {
    return nlohmann::json{media.kind, media.patch, media.patch_pair};
  };
  const Policies& policies = options.policies;
  nlohmann::json limits = nlohmann::json::object();
  for (const MediaCount& limit : policies.max_media) limits[limit.kind] = limit.patches;
  const CostModel& costs = options.costs;
  nlohmann::json media = nlohmann::json::array();
  for (const MediaCost& of_kind : costs.media) media.push_back(cost(of_kind));
  return {{"epochs", options.epochs},
          {"max_steps", options.max_steps},
          {"drop_last", options.drop_last},
          {"rows_per_micro_step", options.rows_per_micro_step},
          {"pad", {options.pad_multiple, options.pad_id}},
          {"end_if_all_skipped", options.end_if_all_skipped},
          {"policies",
           {policies.on_bad_sample, policies.on_overlong, policies.max_length, std::move(limits),
            policies.needs_targets}},
          {"costs",
           {costs.token, costs.pair, costs.target, std::move(media), cost(costs.other_media)}}};
}

/// This rank's share of a micro-step.
struct MicroStep {
  std::vector<Bin> rows;
  MediaCounts media;  ///< of all ranks
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
        reader_(dataset_, std::move(processor), policies_of(options_), options_.costs,
                options_.draws),
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
        : ranks(engine.options_.ranks ? engine.options_.ranks->open_channel("loader") : nullptr),
          steps(engine.several_ranks() ? 1 : steps_ahead_of(engine.options_)),
          cache(engine.options_.kept_text_bytes),
          pool(loader_threads(engine.options_.threads), "data"),
          planner([this, &engine] {
            name_this_thread("data planner");
            engine.plan(*this);
          }) {}
    ~Run() {
      // first: what is made up once `stopping` is set must not reach other ranks
      if (ranks) ranks->close();
      stopping = true;
      steps.close();
      planner.join();
    }
    std::atomic<bool> stopping = false;
    std::unique_ptr<Ranks> ranks;
    BoundedQueue<PendingStep> steps;
    SampleCache cache;
    ThreadPool pool;
    std::jthread planner;
  };

  void stop() { run_.reset(); }

  bool several_ranks() const { return ranks() > 1; }
  int32_t ranks() const { return options_.ranks ? options_.ranks->count() : 1; }
  int32_t rank() const { return options_.ranks ? options_.ranks->rank() : 0; }

  void plan(Run& run) {
    try {
      if (several_ranks()) {
        plan_with_others(run);
      } else {
        plan_alone(run);
      }
    } catch (...) {  // surfaces in next(), at the step it belongs to
      PendingStep failed;
      failed.error = std::current_exception();
      run.steps.push(std::move(failed));
    }
    run.steps.close();
  }

  void plan_alone(Run& run) {
    const auto window = static_cast<int64_t>(16 * run.pool.size());
    const auto measure = [this, &run](int64_t ordinal, int64_t) {
      return this->begin_measuring(run, ordinal);
    };
    auto planner = make_planner(dataset_->rows_per_epoch(), options_, start_, measure, window);
    while (!run.stopping) {
      auto plan = planner->next();
      if (!plan || !run.steps.push(pending(run, *std::move(plan)))) break;
    }
  }

  /// The same plan on every rank, which outcomes of all of them make. Steps are handed over when
  /// every rank has its batches or one has failed; until then `steps_ahead` of them are under way.
  void plan_with_others(Run& run) {
    OutcomeExchange exchange(
        *run.ranks, [this, &run](int64_t ordinal) { return begin_measuring(run, ordinal); });
    const auto measure = [&](int64_t ordinal, int64_t lane) {
      return exchange.ask(ordinal, static_cast<int32_t>(lane % ranks()));
    };
    const Ahead ahead = common_ahead(*run.ranks, run.pool.size());
    auto planner =
        make_planner(dataset_->rows_per_epoch(), options_, start_, measure, ahead.samples);
    std::deque<PendingStep> under_way;
    std::exception_ptr failure;
    for (bool ended = false; !run.stopping && !(ended && under_way.empty());) {
      try {
        std::optional<StepPlan> plan;
        if (!ended) plan = planner->next();
        ended = !plan;
        if (plan) under_way.push_back(pending(run, *std::move(plan)));
      } catch (...) {  // behind the steps that were planned before it
        ended = true;
        failure = std::current_exception();
      }
      if (under_way.empty() || (!ended && under_way.size() < ahead.steps)) continue;
      PendingStep step = std::move(under_way.front());
      under_way.pop_front();
      finish(*run.ranks, step);
      const bool failed = step.error != nullptr;
      if (!run.steps.push(std::move(step)) || failed) return;
    }
    if (failure) std::rethrow_exception(failure);
  }

  struct Ahead {
    int64_t samples = 0;  ///< measured
    size_t steps = 0;     ///< whose batches are made
  };

  /// The same on every rank, whose order of gathers it decides: enough for the threads of all, and
  /// for a step to come out of few exchanges. Throws Error if the ranks would not plan the same.
  Ahead common_ahead(Ranks& ranks, size_t threads) const {
    const uint64_t hash = hash64(start_.text() + common_options(options_).dump());
    const nlohmann::json mine{threads, steps_ahead_of(options_), hash};
    int64_t all_threads = 0;
    Ahead ahead;
    for (const std::string& text : gather_tagged(ranks, ExchangeTag::start, mine.dump())) {
      const auto other = nlohmann::json::parse(text);
      all_threads += other.at(0).get<int64_t>();
      ahead.steps = std::max(ahead.steps, other.at(1).get<size_t>());
      if (other.at(2).get<uint64_t>() == hash) continue;
      throw Error("data", "the ranks do not read the same data in the same order",
                  "give every rank the same config, data files and checkpoint");
    }
    ahead.samples = std::max(16 * all_threads, 8 * options_.global_rows);
    return ahead;
  }

  /// Waits for a step's batches, here and on the other ranks.
  static void finish(Ranks& ranks, PendingStep& pending) {
    std::exception_ptr failure;
    for (auto& batch : pending.micro_steps) {
      try {
        pending.step.micro_steps.push_back(batch.get());
      } catch (...) {
        if (!failure) failure = std::current_exception();
      }
    }
    pending.micro_steps.clear();
    pending.error = agree_on_failure(ranks, failure);
  }

  std::future<Outcome> begin_measuring(Run& run, int64_t ordinal) const {
    return run.pool.submit([this, &run, ordinal] { return this->measure(run, ordinal); });
  }

  Outcome measure(Run& run, int64_t ordinal) const {
    if (run.stopping) return {};
    auto outcome = reader_.measure(ordinal);
    if (outcome.item && outcome.sample) run.cache.put(ordinal, std::move(outcome.sample));
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
      descriptors.push_back({row.length, row.cost, row.media});
      step.tokens += row.length;
      step.samples += static_cast<int64_t>(row.items.size());
      step.rows += !row.items.empty();
      for (const auto& item : row.items) {
        step.supervised_tokens += item.supervised;
        for (const auto& [term, count] : item.counts) step.counts[term] += count;
      }
    }
    for (auto& micro_step : micro_steps_of_this_rank(run, plan, descriptors)) {
      pending.micro_steps.push_back(run.pool.submit(
          [this, &run, one = std::move(micro_step)] { return make_batch(run, one); }));
    }
    return pending;
  }

  std::vector<MicroStep> micro_steps_of_this_rank(
      Run& run, StepPlan& plan, const std::vector<RowDescriptor>& descriptors) const {
    const auto count = micro_steps_of(static_cast<int64_t>(plan.rows.size()), ranks(),
                                      options_.rows_per_micro_step);
    std::vector<MicroStep> micro_steps(static_cast<size_t>(count));
    const auto places = assign(descriptors, ranks(), options_.rows_per_micro_step);
    for (size_t i = 0; i < places.size(); ++i) {
      MicroStep& micro_step = micro_steps[static_cast<size_t>(places[i].micro_step)];
      for (const MediaCount& part : descriptors[i].media)
        micro_step.media[part.kind].patches += part.patches;
      if (places[i].rank == rank()) {
        micro_step.rows.push_back(std::move(plan.rows[i]));
      } else {
        for (const auto& item : plan.rows[i].items) run.cache.take(item.ordinal);
      }
    }
    return micro_steps;
  }

  Batch make_batch(Run& run, const MicroStep& micro_step) const {
    if (run.stopping) return {};
    const std::vector<Bin>& rows = micro_step.rows;
    std::vector<RowSamples> samples(rows.size());
    for (size_t r = 0; r < rows.size(); ++r) {
      for (const auto& item : rows[r].items) {
        auto sample = run.cache.take(item.ordinal);
        samples[r].push_back(sample ? std::move(sample) : reader_.make(item));
      }
    }
    Batch batch = collate(samples, options_.pad_multiple, options_.pad_id);
    if (batch.tokens() == 0 && several_ranks())
      batch = dummy_batch(options_.pad_multiple, options_.pad_id);
    for (const MediaCount& part : micro_step.media) batch.media[part.kind];  // empty: of others
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
