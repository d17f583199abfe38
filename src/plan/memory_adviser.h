#pragma once
/// What a run asks of the planner: how much to run again, and why a step found no memory.
#include <optional>
#include <string>

#include "core/error.h"
#include "nn/run_context.h"
#include "plan/card.h"
#include "plan/planned_run.h"

namespace lmms::plan {

/// How units run.
struct Choice {
  nn::RunContext context;
  std::string notice;  ///< for the user; empty: nothing was to be chosen
};

/// A choice as text that another rank reads; kernels are the same on all, and stay as `before`.
std::string text_of(const Choice& choice);
Choice choice_from(const std::string& text, const nn::RunContext& before);

class MemoryAdviser {
 public:
  /// To be made before the run takes memory.
  MemoryAdviser(PlannedRun run, c10::Device device);

  /// How units run: as the run says, but under `auto` no more is run again than must be. `auto`
  /// rehearses the first steps of the data on the memory that the device had free; on a CPU
  /// nothing is run again. May run beside the loading of the weights. Throws Error if not even full
  /// recompute fits.
  Choice choose(const PlannedData& data) const;

  /// Under `auto`, for a step that found no memory though `before` was chosen (its batch is longer
  /// than those that were rehearsed, or memory is in pieces): a choice for it with some memory to
  /// spare. nullopt where nothing less can be kept.
  std::optional<Choice> choose_less(const data::StepBatch& batch,
                                    const nn::RunContext& before) const;

  /// The error of a step that found no memory: what a rehearsal of its batch takes beside what was
  /// measured, and what would fit. `peak`: bytes that tensors took at most.
  Error out_of_memory(const data::StepBatch& batch, const nn::RunContext& context, int64_t peak,
                      const std::string& cause) const;

 private:
  bool automatic() const;

  PlannedRun run_;
  c10::Device device_;
  Card card_;  ///< of the device, if it is a GPU
};

}  // namespace lmms::plan
