#pragma once
/// Every sample of a data set exactly once, in order: for evaluation.
#include <cstdint>
#include <memory>
#include <optional>

#include "data/batch.h"
#include "data/dataset.h"
#include "data/policy.h"
#include "data/processor.h"

namespace lmms::data {

struct EvaluationOptions {
  Policies policies;
  int64_t batch_samples = 8;  ///< samples of a batch at most (per_device_eval_batch_size)
  int64_t batch_tokens = 0;   ///< > 0: samples join a batch while their tokens fit in this instead
  int32_t rank = 0;           ///< batch b belongs to rank b mod ranks
  int32_t ranks = 1;
  int threads = 0;  ///< 0: by the machine
  int64_t pad_multiple = 1;
  int32_t pad_id = 0;
};

/// One pass over epoch 0 of a data set (open it without shuffle). Samples are never cut into other
/// batches by the number of threads.
class EvaluationLoader {
 public:
  EvaluationLoader(std::shared_ptr<const Dataset> dataset,
                   std::shared_ptr<const Processor> processor, EvaluationOptions options);
  ~EvaluationLoader();

  /// The next batch of this rank; nullopt at the end. On several ranks a rank with fewer batches
  /// gets dummies (rows == 0) at the end, so that all ranks take the same number. Throws Error
  /// where a policy says so.
  std::optional<Batch> next();
  /// So far; complete at the end.
  const SkipCounts& skipped() const;

 private:
  class Engine;
  std::unique_ptr<Engine> engine_;
};

}  // namespace lmms::data
