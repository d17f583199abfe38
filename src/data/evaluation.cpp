#include "data/evaluation.h"

#include <algorithm>
#include <atomic>
#include <deque>
#include <future>
#include <thread>

#include "core/threads.h"
#include "data/collate.h"
#include "data/sample_reader.h"

namespace lmms::data {

class EvaluationLoader::Engine {
 public:
  Engine(std::shared_ptr<const Dataset> dataset, std::shared_ptr<const Processor> processor,
         EvaluationOptions options)
      : rows_(dataset->rows_per_epoch()),
        options_(options),
        reader_(std::move(dataset), std::move(processor), options.policies),
        pool_(options.threads > 0
                  ? static_cast<size_t>(options.threads)
                  : std::clamp<size_t>(std::thread::hardware_concurrency(), 2, 9) - 1,
              "eval data") {}
  ~Engine() { stopping_ = true; }

  std::optional<Batch> next() {
    // Batches are cut from the whole order, then dealt to ranks: round by round, so that every rank
    // takes part in each.
    std::optional<Batch> own;
    bool any = false;
    for (int32_t rank = 0; rank < options_.ranks; ++rank) {
      auto samples = next_samples();
      if (samples.empty()) break;
      any = true;
      if (rank != options_.rank) continue;
      std::vector<RowSamples> rows;
      for (auto& sample : samples) rows.push_back({std::move(sample)});
      own = collate(rows, options_.pad_multiple, options_.pad_id);
    }
    if (!any) return std::nullopt;
    return own ? std::move(own) : Batch{};
  }

  const SkipCounts& skipped() const { return skipped_; }

 private:
  /// Samples of the next batch; empty at the end.
  RowSamples next_samples() {
    RowSamples samples;
    int64_t tokens = 0;
    for (;;) {
      if (!waiting_) waiting_ = next_sample();
      if (!waiting_) return samples;
      const bool fits = options_.batch_tokens > 0
                            ? tokens + waiting_->length() <= options_.batch_tokens
                            : static_cast<int64_t>(samples.size()) < options_.batch_samples;
      if (!fits && !samples.empty()) return samples;
      tokens += waiting_->length();
      samples.push_back(std::move(waiting_));
      waiting_ = nullptr;
    }
  }

  /// The next sample that the policies let pass; null at the end.
  std::shared_ptr<const Sample> next_sample() {
    for (;;) {
      const size_t window = 16 * pool_.size();
      while (ahead_.size() < window && submitted_ < rows_) {
        ahead_.push_back(pool_.submit([this, ordinal = submitted_] {
          return stopping_ ? Outcome{} : reader_.measure(ordinal);
        }));
        ++submitted_;
      }
      if (ahead_.empty()) return nullptr;
      const Outcome outcome = ahead_.front().get();
      ahead_.pop_front();
      if (outcome.fatal) throw Error(outcome.fault);
      if (outcome.truncated) skipped_.truncated.add(outcome.fault);
      if (outcome.item) return outcome.sample ? outcome.sample : reader_.make(*outcome.item);
      skipped_.of(outcome.reason).add(outcome.fault);
    }
  }

  int64_t rows_;
  EvaluationOptions options_;
  SampleReader reader_;
  SkipCounts skipped_;
  int64_t submitted_ = 0;
  std::shared_ptr<const Sample> waiting_;  ///< read, but not yet in a batch
  std::atomic<bool> stopping_ = false;
  ThreadPool pool_;
  std::deque<std::future<Outcome>> ahead_;
};

EvaluationLoader::EvaluationLoader(std::shared_ptr<const Dataset> dataset,
                                   std::shared_ptr<const Processor> processor,
                                   EvaluationOptions options)
    : engine_(std::make_unique<Engine>(std::move(dataset), std::move(processor), options)) {}
EvaluationLoader::~EvaluationLoader() = default;

std::optional<Batch> EvaluationLoader::next() {
  return engine_->next();
}
const SkipCounts& EvaluationLoader::skipped() const {
  return engine_->skipped();
}

}  // namespace lmms::data
