#pragma once
/// Training batches in an order that depends on (data, seed, global rows, step) alone: not on
/// threads, ranks or restarts.
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/ranks.h"
#include "data/batch.h"
#include "data/cost.h"
#include "data/dataset.h"
#include "data/packer.h"
#include "data/policy.h"
#include "data/processor.h"
#include "data/sample_reader.h"

namespace lmms::data {

struct LoaderOptions {
  std::optional<PackingOptions> packing;  ///< none: a row is a sample
  Policies policies;
  CostModel costs{};                ///< what `balanced` evens over rows
  int64_t global_rows = 1;          ///< L: rows of a step over all ranks; also the number of lanes
  int64_t rows_per_micro_step = 1;  ///< of one rank (per_device_train_batch_size)
  double epochs = 3.0;              ///< may be fractional; not read if max_steps > 0
  int64_t max_steps = -1;           ///< > 0: that many steps, the data repeated as often as needed
  bool drop_last = false;           ///< leave out smaller batches (dataloader_drop_last)
  /// The ranks that share a step's rows; null: this process trains them all. The loader opens
  /// channels of its own. All ranks need the same data and options, but threads, steps_ahead and
  /// kept_text_bytes; the first step throws Error where they differ.
  std::shared_ptr<Ranks> ranks{};
  SeededDrawing draws{};     ///< what the objective draws for every sample
  int threads = 0;           ///< read and tokenise (dataloader_num_workers); 0: by the machine
  int64_t steps_ahead = 2;   ///< steps that are ready before they are asked for; 0: as many as
                             ///< there are threads
  int64_t pad_multiple = 1;  ///< tokens of a batch are padded up to a multiple of this
  int32_t pad_id = 0;
  bool end_if_all_skipped = true;  ///< an Error once as many records in a row as an epoch has are
                                   ///< skipped
  int64_t kept_text_bytes = int64_t{256} << 20;  ///< tokenised samples kept in open bins; beyond
                                                 ///< it they are tokenised again
};

/// Threads of a loader: `asked` (dataloader_num_workers), or by the machine if that is 0.
size_t loader_threads(int asked);

struct LoaderSnapshot;

/// One step of training. A step whose records were all skipped is a step all the same (the number
/// of steps counts rows before drops): tokens is 0, and the batches are dummies.
struct StepBatch {
  int64_t step = 0;                ///< from 1
  std::vector<Batch> micro_steps;  ///< of this rank, as many on every rank, at least one; rows ==
                                   ///< 0: a dummy, which has a token where there are several ranks
  int64_t tokens = 0;              ///< over all ranks, pad not counted
  int64_t supervised_tokens = 0;   ///< over all ranks: the denominator of the token loss
  TermCounts counts;               ///< over all ranks: the denominators of other terms
  int64_t samples = 0;             ///< over all ranks
  int64_t rows = 0;                ///< over all ranks, empty ones not counted
  double epoch = 0.0;              ///< epochs trained when this step is done
  /// Share of the training that is done, before and after this step: of steps where their number is
  /// known, else of samples (those waiting in open bins are not done). Schedules read it.
  double progress_before = 0.0;
  double progress = 0.0;
  SkipCounts skipped;  ///< since the start, this step's included

  /// Where training goes on after this step, as JSON text for Loader::restore; made when asked for.
  std::string state() const;
  std::shared_ptr<const LoaderSnapshot> snapshot;
};

/// Reads, tokenises, packs and collates ahead in threads of its own; bounded in memory by the
/// options. Not copied, used by one thread.
///
/// Without packing step k of an epoch trains samples kL..kL+L-1 of its order; an epoch's last step
/// is smaller, or left out under drop_last; a skipped sample leaves its place empty. With packing
/// lane l of L reads samples l, l+L, ... of the order that runs through all epochs, and every step
/// takes one row of each lane; at the end of training open bins are flushed.
///
/// Several ranks make the same plan. Lane l is measured by rank l % ranks alone, which trains its
/// rows too (save at the end of training), and what it found is exchanged a step ahead; media are
/// decoded by the rank that trains them. What is wrong with a record of one rank, found when it is
/// measured or when it is decoded, ends all ranks at the same step with the same Error.
class Loader {
 public:
  /// Throws Error if the options cannot make a step (drop_last with fewer rows than L, ...).
  Loader(std::shared_ptr<const Dataset> dataset, std::shared_ptr<const Processor> processor,
         LoaderOptions options);
  ~Loader();
  Loader(const Loader&) = delete;
  Loader& operator=(const Loader&) = delete;

  /// The next step; nullopt at the end of training. Throws Error where a policy says so, at the
  /// step the record belongs to; after that there is no next step.
  std::optional<StepBatch> next();

  /// Goes on after the step that `state` was taken from, in O(size of the state): nothing is read
  /// again but the samples in open bins. Throws Error if the state is none, or if it belongs to
  /// another order: other rows, weights, seed, global rows or packing.
  void restore(const std::string& state);

  /// Global rows of the run that wrote a state: L is fixed at the first start and then kept.
  static Result<int64_t> global_rows_of(const std::string& state);

  int64_t rows_per_epoch() const;
  /// Steps of the whole training; unknown with packing and no max_steps.
  std::optional<int64_t> total_steps() const;

 private:
  class Engine;
  std::unique_ptr<Engine> engine_;
};

}  // namespace lmms::data
