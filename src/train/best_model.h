#pragma once
/// The best evaluation of a run: by which metric, which checkpoint it belongs to, and when a run
/// has seen enough. As Trainer._determine_best_metric and EarlyStoppingCallback of transformers
/// 5.17, but that a checkpoint is compared with checkpoints alone.
#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "train/config.h"

namespace lmms::train {

struct Evaluation;  // train/recorder.h

/// A field of an evaluation's row in metrics.jsonl, and which of its values is better.
struct BestMetric {
  std::string field;     ///< "eval_loss"
  bool greater = false;  ///< is better

  bool better(double a, double b) const { return greater ? a > b : a < b; }
  bool operator==(const BestMetric&) const = default;
};

/// Whether training makes a field of an evaluation greater: eval_exact, eval_accuracy, and an
/// accuracy of a plugin's objective.
bool is_share_of_right(std::string_view field);
/// Whether a run looks for its best evaluation: load_best_model_at_end, early_stopping_patience,
/// metric_for_best_model or save_strategy: best ask for it.
bool seeks_best(const TrainerArgs& args);
/// metric_for_best_model, with or without its "eval_"; absent: the loss. Unlike in transformers,
/// where any name that ends otherwise than "loss" is greater when better, only those of
/// is_share_of_right are.
BestMetric best_metric(const BestModelConfig& config);
/// The fields of an evaluation that this config can go by, the loss first.
std::vector<std::string> evaluation_metrics(const TrainConfig& config,
                                            const Registries& registries);
/// What an evaluation says of a field; nothing if it has none of that name.
std::optional<double> value_of(const Evaluation& evaluation, const std::string& field);

/// An evaluation after `step`.
struct Evaluated {
  double value = 0;
  int64_t step = 0;

  bool operator==(const Evaluated&) const = default;
};

/// What a run knows of its evaluations; its checkpoints keep it.
struct BestState {
  BestMetric metric;
  std::optional<Evaluated> last = {};        ///< absent before the first
  std::optional<Evaluated> best = {};        ///< of all
  std::optional<Evaluated> checkpoint = {};  ///< of those whose step has a checkpoint
  int64_t without_improvement = 0;           ///< in a row

  /// Takes an evaluation in. A NaN is never better.
  void observe(const Evaluated& evaluated, double threshold);
  /// The last one's step has a checkpoint, or gets one.
  void keep_last();
  bool operator==(const BestState&) const = default;
};

/// Whether early_stopping_patience ends the run.
bool seen_enough(const BestState& state, const BestModelConfig& config);
/// "eval_loss has not improved for 3 evaluations; its best is 1.25, at step 40".
std::string why_enough(const BestState& state);

/// Every number comes back to the last bit.
nlohmann::json to_json(const BestState& state);
/// Throws nlohmann::json::exception where a key is missing or has another type.
BestState best_state_from(const nlohmann::json& json);

/// The state to go on with under this config. `saved`: that of the checkpoint. Of another metric
/// nothing is kept, and a best checkpoint that `output` no longer holds is forgotten with a
/// warning.
std::optional<BestState> best_state_for(const TrainerArgs& args,
                                        const std::optional<BestState>& saved);

}  // namespace lmms::train
